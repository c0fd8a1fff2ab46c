"""Account names: how they are shown, what makes them unique, and which look alike."""

import re
import unicodedata

from chatbot.errors import BadName, MixedScripts

NAME_KEY_LENGTH = 128
# Normalizing long runs of combining marks takes quadratic time, so longer text is refused.
LONGEST_TYPED = 1024

# Invisible characters; they do not count for a name's length or uniqueness: joiners and variation
# selectors (needed by Persian, Indic scripts and emoji), fillers, the Braille blank.
UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u200c\u200d\u2800\u3164"
    "\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
JOINERS = "\u200c\u200d"


# Letters that look like Latin ones in most fonts, and Chinese and Japanese signs that look alike:
# the part of Unicode's confusables (UTS 39) that keyboards have.
LOOK_ALIKES = {
    "аɑα": "a", "ЬƄ": "b", "АΑ": "A", "ВΒ": "B", "сϲ": "c", "СϹ": "C", "ԁ": "d", "еҽ": "e",
    "ЕΕ": "E", "ɡց": "g", "Ԍ": "G", "һհ": "h", "НΗ": "H", "іι": "i", "јյ": "j", "ЈͿ": "J",
    "кκ": "k", "КΚ": "K", "МΜ": "M", "ո": "n", "Ν": "N", "оοօσ০०": "o", "ОΟՕ": "O", "рρ": "p",
    "РΡ": "P", "ԛզ": "q", "г": "r", "ѕ": "s", "ЅՏ": "S", "ТΤ": "T", "υսц": "u", "ՍԱ": "U",
    "ѵν": "v", "ѡω": "w", "ԝ": "w", "Ԝ": "W", "хχ": "x", "ХΧ": "X", "уγүʏ": "y", "УΥҮ": "Y",
    "Ζ": "Z", "ӏІΙӀǀ|I1": "l", "ı": "i", "0〇": "o",
    "ロ": "口", "ニ": "二", "エ": "工", "カ": "力", "タ": "夕", "ト": "卜", "ハ": "八", "ー": "一",
    "へ": "ヘ", "べ": "ベ", "ぺ": "ペ", "り": "リ",
}  # fmt: skip
LOOKS = str.maketrans({sign: look for signs, look in LOOK_ALIKES.items() for sign in signs})

EAST_ASIAN = {"CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "BOPOMOFO", "HANGUL"}


def clean_name(typed: str) -> str:
    """The name as it is shown: trimmed, single spaces, NFC. Raises `BadName`."""
    name = typed.strip()
    if len(name) > LONGEST_TYPED or not all(map(_can_be_in_name, name)):
        raise BadName()
    if not name or unicodedata.category(name[0]).startswith("M"):
        # A leading mark would combine with the text before the name.
        raise BadName()
    name = " ".join(unicodedata.normalize("NFC", name).split())
    if len(name) > 32 or len(UNSEEN.sub("", name)) < 2 or len(name_key(name)) > NAME_KEY_LENGTH:
        raise BadName()
    return name


def name_key(name: str) -> str:
    """The unique key of a name: two names with the same key look (nearly) the same."""
    key = unicodedata.normalize("NFKC", UNSEEN.sub("", name)).casefold()
    # Casefolding can produce characters that are not in NFKC; a second pass is enough.
    key = unicodedata.normalize("NFKC", key).casefold()
    return UNSEEN.sub("", unicodedata.normalize("NFKC", key))


def _can_be_in_name(character: str) -> bool:
    # C: control, format, surrogate, private and unassigned. Zl, Zp: line and paragraph separators.
    kind = unicodedata.category(character)
    return character in JOINERS or not (kind.startswith("C") or kind in ("Zl", "Zp"))


def new_name(typed: str) -> str:
    """`clean_name` for a new account. Raises `MixedScripts` for letters of several scripts, except
    East Asian ones and Latin."""
    name = clean_name(typed)
    scripts = {script for script in map(_script, unicodedata.normalize("NFKC", name)) if script}
    if len(scripts) > 1 and not scripts <= {*EAST_ASIAN, "LATIN"}:
        raise MixedScripts()
    return name


def look_of(name: str) -> str:
    """A key for the look of a name: two names with the same key are hard to tell apart."""
    look = unicodedata.normalize("NFKC", UNSEEN.sub("", name)).translate(LOOKS).casefold()
    # Casefolding may produce another letter with a look-alike.
    look = look.translate(LOOKS)
    return "".join(look.split()).replace("rn", "m").replace("vv", "w")


def _script(character: str) -> str:
    """The script of a letter, by the first word of its name in Unicode; empty for other signs."""
    if not unicodedata.category(character).startswith("L"):
        return ""
    return re.split(r"[ -]", unicodedata.name(character, "UNKNOWN"))[0]
