"""What a search looks for: words in titles and messages, in any capitals and widths of letters.

SQLite folds ASCII only. Where a word has other letters with two forms, a pattern names both of
each; that takes about as long. Full-width Latin letters and digits are rare, so an index holds the
messages that have some (migration 0007), and a search for common ones costs nothing more.
"""

import functools
import operator
import re
import unicodedata
from typing import Any

from peewee import SQL, Expression, fn

from chatbot.storage.conversations import Listed, find, newest
from chatbot.storage.current import is_sqlite
from chatbot.storage.messages import branch
from chatbot.storage.tables import Conversation, Message

MOST_WORDS = 8
MOST_CHARACTERS = 100
"""Of a whole search; what is beyond is not looked for."""
WIDE = 0xFEE0
"""How far the full-width forms of ASCII are from it (Unicode's block FF00)."""
WIDE_SQLITE = "*[Ａ-Ｚａ-ｚ０-９]*"
WIDE_POSTGRES = "[Ａ-Ｚａ-ｚ０-９]"
ALSO = {"σ": "ς", "s": "ſ", "k": "\u212a", "å": "\u212b", "ß": "ẞ"}
"""Letters with a third form."""


def words_of(search: str) -> list[str]:
    """The words to look for, as they were typed."""
    return search[:MOST_CHARACTERS].split()[:MOST_WORDS]


def conversations(
    user_id: int, limit: int, search: str, *, titles_only: bool = False
) -> list[Listed]:
    """What a list shows of the user's conversations that have all words, newest first."""
    conditions = [_found(word, titles_only) for word in words_of(search)]
    return newest(user_id, limit, conditions)


def hit(user_id: int, conversation_id: str, search: str, reach: int) -> tuple[int | None, int]:
    """The message of the visible branch, within `reach` of its end, that has the most of the words,
    the newest of several; and how many messages come after it. None where no message has any.

    Raises `ConversationNotFound`.
    """
    words = [_folded(word) for word in words_of(search)]
    head_id = find(user_id, conversation_id).head_id
    best: tuple[int, int | None, int] = 0, None, 0
    for after, message in enumerate(reversed(branch(head_id, reach))):
        text = _folded(message.content)
        count = sum(word in text for word in words)
        if count > best[0]:
            best = count, message.id, after
    return best[1:]


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _found(word: str, titles_only: bool) -> Any:
    """The condition that a conversation has this word."""
    spelled = _spelled(word)
    found = [_holds(Conversation.title, one) for one in spelled]
    # What was typed in full width is looked for in both widths anyway.
    wide = word.isascii() and any(map(str.isalnum, word))
    if wide:
        found.append(_holds_wide(Conversation.title, word))
    if not titles_only:
        if wide:
            found.append(_said(_is_wide() & _holds_wide(Message.content, word)))
        found += [_said(_holds(Message.content, one)) for one in spelled]
    return functools.reduce(operator.or_, found)


def _said(condition: Any) -> Any:
    # Conversation by conversation: other people's messages are not gone through.
    mine = (Message.conversation == Conversation.id) & condition
    return fn.EXISTS(Message.select(SQL("1")).where(mine))


def _spelled(word: str) -> list[str]:
    """The word as it was typed, and with its accents composed, as nearly all text has them."""
    return list(dict.fromkeys([word, unicodedata.normalize("NFC", word)]))


def _holds(text: Any, word: str) -> Any:
    simple = word.isascii() or all(len(_forms(character)) == 1 for character in word)
    return text.contains(word) if simple else _matches(text, word)


def _holds_wide(text: Any, word: str) -> Any:
    """The condition that the text has this ASCII word with its first letter or digit in full
    width, or, where the word begins with another sign, the one after it."""
    return _matches(text, word, wide_only=True)


def _matches(text: Any, word: str, *, wide_only: bool = False) -> Any:
    forms = [_forms(character) for character in word]
    if wide_only:
        first = next(place for place, form in enumerate(forms) if len(form) > 1)
        forms[first] = [form for form in forms[first] if not form.isascii()]
    if is_sqlite():
        # A pattern that begins with one letter is looked for several times as fast.
        rest = "".join(map(_glob, forms[1:]))
        patterns = [f"*{_glob([form])}{rest}*" for form in forms[0]]
        return functools.reduce(
            operator.or_, [Expression(text, "GLOB", pattern) for pattern in patterns]
        )
    return text.regexp("".join(map(_bracket, forms)))


def _is_wide() -> Any:
    # Written as in the index, for the database to see that it fits.
    pattern, op = (WIDE_SQLITE, "GLOB") if is_sqlite() else (WIDE_POSTGRES, "~")
    return Expression(Message.content, op, SQL(f"'{pattern}'"))


def _forms(character: str) -> list[str]:
    """All that is taken for this character, itself first."""
    narrow = _narrow(character)
    forms = [character, narrow]
    for one in (narrow.lower(), narrow.upper(), narrow.title(), ALSO.get(narrow.lower(), "")):
        forms += [one, one.lower(), one.upper()]
    kept = [form for form in dict.fromkeys(forms) if len(form) == 1]
    wide = [chr(ord(form) + WIDE) for form in kept if form.isascii() and form.isalnum()]
    return list(dict.fromkeys([*kept, *wide]))


def _narrow(character: str) -> str:
    plain = chr(ord(character) - WIDE) if 0xFF10 <= ord(character) <= 0xFF5A else character
    return plain if plain.isalnum() else character


def _glob(forms: list[str]) -> str:
    if len(forms) > 1 or forms[0] in "*?[":
        return f"[{''.join(forms)}]"
    return forms[0]


def _bracket(forms: list[str]) -> str:
    return f"[{''.join(forms)}]" if len(forms) > 1 else re.escape(forms[0])
