"""Checks the inputs and the event data of each event, by `api_name`.

Gradio accepts any JSON as an input, and treats some of it as a file to fetch. Here only what the
wiring in `blocks.py` sends passes: plain values of bounded length, checked before Gradio sees them.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chatbot.characters import storable
from chatbot.errors import BadInput

SESSION_HASH = re.compile(r"[A-Za-z0-9_-]{1,64}")
LARGEST_NUMBER = 2**53
SHORT = 64
"""Most characters of an id."""
LINE = 2_000
"""Most characters of a one-line text. Handlers check lower limits, with a better message."""
# Possessive, and also matches an unterminated string: else hostile bodies take quadratic time.
STRING = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
STRUCTURE = 1_000
"""Most bytes of an event without its strings; an ordinary event has 100."""
NESTED = 20
"""Most lists and objects of an event; an ordinary event has 3 to 6."""

Check = Callable[[Any], Any]
"""Returns the value to pass on. Raises `BadInput`."""


EVENT = "chatbot.event"
"""The key of the checked event fields in a request's scope."""


@dataclass(frozen=True)
class Event:
    """One checked event; Gradio gets these fields and no others."""

    name: str
    session_hash: str
    fields: dict[str, Any]

    @property
    def body(self) -> bytes:
        """The fields as JSON."""
        return json.dumps(self.fields).encode()


def text(longest: int) -> Check:
    def check(value: Any) -> Any:
        if value is None:
            return None
        if not (isinstance(value, str) and len(value) <= longest):
            raise BadInput()
        # JSON may hold a lone surrogate, but no database and no log accepts one.
        return storable(value)

    return check


def number(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return _only(value is None, value)
    return _only(isinstance(value, int | float) and abs(value) <= LARGEST_NUMBER, value)


def flag(value: Any) -> Any:
    return _only(value is None or isinstance(value, bool), value)


def place(value: Any) -> Any:
    """An index in the shown list; a pair of them for a block within a message."""
    places = value if isinstance(value, list) else [value]
    return _only(
        len(places) <= 2 and all(type(one) is int and abs(one) <= LARGEST_NUMBER for one in places),
        value,
    )


def _only(fits: bool, value: Any) -> Any:
    if not fits:
        raise BadInput()
    return value


def _fields(**checks: Check) -> Check:
    def check(value: Any) -> Any:
        if not isinstance(value, dict):
            raise BadInput()
        return {name: one(value.get(name)) for name, one in checks.items()}

    return check


ID = text(SHORT)
TYPED = text(LINE)


def table(longest_question: int) -> dict[str, tuple[list[Check], Check | None]]:
    """The checks for every event: of its inputs in order, and of its event data, if it has any."""
    # The service has the best message for a long question, so allow all that fits a body.
    question = text(longest_question)
    in_session = [ID, number, TYPED]
    example = _fields(index=place, value=_fields(text=text(LINE)))
    return {
        "view": ([ID, number], None),
        "follow": ([ID, number], None),
        "sessions": ([TYPED, ID, number], None),
        "new_session": ([], None),
        "open_session": ([ID, number], None),
        "select_session": ([ID, number], None),
        "ask_rename": ([ID], None),
        "rename": ([ID, TYPED, TYPED], None),
        "ask_delete": ([ID], None),
        "delete": ([ID], None),
        "send": ([*in_session, question, TYPED], None),
        "send_example": (in_session, example),
        "regenerate": ([*in_session, ID], None),
        "undo": ([*in_session, ID], None),
        "choose_option": ([*in_session, ID], _fields(index=place, value=TYPED)),
        "show_version": ([ID, number, ID, ID], None),
        "edit": ([*in_session, ID, ID, ID, question], None),
        "stop": ([ID], None),
        "open_admin": ([], None),
        "close_admin": ([], None),
        "pause": ([flag], None),
        "act": ([ID, number, number], None),
        "invite": ([number, number, number], None),
    }


class EventInputs:
    """Checks the events of a page; `names` are its functions by `fn_index`."""

    def __init__(self, names: Mapping[int, str], *, max_input_chars: int) -> None:
        self._names = names
        # A character takes up to 12 bytes of JSON, and an edit has two texts.
        self.longest_body = 4096 + 2 * 12 * max_input_chars
        self._table = table(self.longest_body)
        if unknown := set(names.values()) - set(self._table):
            raise LookupError(f"no inputs are declared for {', '.join(sorted(unknown))}")

    def read(self, body: bytes) -> Event:
        """Parse and check the event in this JSON. Raises `BadInput` for everything invalid."""
        sent = _parsed(body)
        index, session_hash = sent.get("fn_index"), sent.get("session_hash")
        data, trigger = sent.get("data"), sent.get("trigger_id")
        name = self._names.get(index) if type(index) is int else None
        if name is None or not isinstance(data, list):
            raise BadInput()
        if not isinstance(session_hash, str) or not SESSION_HASH.fullmatch(session_hash):
            raise BadInput()
        checks, about = self._table[name]
        if len(data) != len(checks) or not (trigger is None or type(trigger) is int):
            raise BadInput()
        fields = {
            "data": [check(value) for check, value in zip(checks, data, strict=True)],
            "fn_index": index,
            "session_hash": session_hash,
            "event_data": about(sent.get("event_data")) if about else None,
            "trigger_id": trigger,
        }
        return Event(name, session_hash, fields)


def _parsed(body: bytes) -> dict[str, Any]:
    structure = STRING.sub(b"", body)
    if len(structure) > STRUCTURE or structure.count(b"[") + structure.count(b"{") > NESTED:
        raise BadInput()
    try:
        # Only UTF-8: `STRING` looks for quotation marks as UTF-8 bytes.
        fields = json.loads(body.decode())
    # Not JSON or not UTF-8.
    except (ValueError, RecursionError):
        raise BadInput() from None
    if not isinstance(fields, dict):
        raise BadInput()
    return fields
