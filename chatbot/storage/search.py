"""Searches for words in titles and messages, ignoring case and width of letters.

SQLite ignores case for ASCII only. For other letters with two forms, the pattern names both forms;
that is about as fast. Full-width Latin letters and digits are rare: an index lists the messages
that have some (migration 0007), so a search for normal-width words costs nothing more.
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
"""Of a whole search; the rest is ignored."""
WIDE = 0xFEE0
"""Offset from ASCII to its full-width forms (Unicode block FF00)."""
WIDE_SQLITE = "*[Ａ-Ｚａ-ｚ０-９]*"
WIDE_POSTGRES = "[Ａ-Ｚａ-ｚ０-９]"
ALSO = {"σ": "ς", "s": "ſ", "k": "\u212a", "å": "\u212b", "ß": "ẞ"}
"""Letters with a third form."""


def words_of(search: str) -> list[str]:
    """The words to search for, as typed."""
    return search[:MOST_CHARACTERS].split()[:MOST_WORDS]


def conversations(
    user_id: int, limit: int, search: str, *, titles_only: bool = False
) -> list[Listed]:
    """The user's conversations that contain all words, newest first."""
    conditions = [_found(word, titles_only) for word in words_of(search)]
    return newest(user_id, limit, conditions)


def hit(user_id: int, conversation_id: str, search: str, reach: int) -> tuple[int | None, int]:
    """The message with the most of the words, and how many messages follow it; None if no message
    has any. Looks at the last `reach` messages of the visible branch; the newest message wins.

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
    """The SQL condition that a conversation contains this word."""
    spelled = _spelled(word)
    found = [_holds(Conversation.title, one) for one in spelled]
    # A word typed in full width is searched in both widths anyway.
    wide = word.isascii() and any(map(str.isalnum, word))
    if wide:
        found.append(_holds_wide(Conversation.title, word))
    if not titles_only:
        if wide:
            found.append(_said(_is_wide() & _holds_wide(Message.content, word)))
        found += [_said(_holds(Message.content, one)) for one in spelled]
    return functools.reduce(operator.or_, found)


def _said(condition: Any) -> Any:
    # Per conversation, so that other users' messages are not scanned.
    mine = (Message.conversation == Conversation.id) & condition
    return fn.EXISTS(Message.select(SQL("1")).where(mine))


def _spelled(word: str) -> list[str]:
    """The word as typed, and in NFC, the form that nearly all text has."""
    return list(dict.fromkeys([word, unicodedata.normalize("NFC", word)]))


def _holds(text: Any, word: str) -> Any:
    simple = word.isascii() or all(len(_forms(character)) == 1 for character in word)
    return text.contains(word) if simple else _matches(text, word)


def _holds_wide(text: Any, word: str) -> Any:
    """The SQL condition that the text has this ASCII word with its first letter or digit in full
    width; if the word begins with another sign, the character after it."""
    return _matches(text, word, wide_only=True)


def _matches(text: Any, word: str, *, wide_only: bool = False) -> Any:
    forms = [_forms(character) for character in word]
    if wide_only:
        first = next(place for place, form in enumerate(forms) if len(form) > 1)
        forms[first] = [form for form in forms[first] if not form.isascii()]
    if is_sqlite():
        # A pattern that begins with a fixed letter is several times faster.
        rest = "".join(map(_glob, forms[1:]))
        patterns = [f"*{_glob([form])}{rest}*" for form in forms[0]]
        return functools.reduce(
            operator.or_, [Expression(text, "GLOB", pattern) for pattern in patterns]
        )
    return text.regexp("".join(map(_bracket, forms)))


def _is_wide() -> Any:
    # Must equal the condition of the index, or the database does not use the index.
    pattern, op = (WIDE_SQLITE, "GLOB") if is_sqlite() else (WIDE_POSTGRES, "~")
    return Expression(Message.content, op, SQL(f"'{pattern}'"))


def _forms(character: str) -> list[str]:
    """All characters that match this one, itself first."""
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
