"""What a user has chosen for a session: the model, thinking, web search, and how it answers.

Stored as JSON with the session, and with the user as the default of new sessions.
"""

import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self, get_args

from chatbot.catalog import Model, Models, Thinking
from chatbot.characters import storable


@dataclass(frozen=True)
class Options:
    """The choices of one session. An empty or None field means the owner's default."""

    model: str = ""
    """A name of ARK_MODEL."""
    thinking: str = ""
    """`off`, `on`, or an effort."""
    search: bool = False
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    """The longest reply."""
    instructions: str = ""
    """The user's own instructions, in addition to the system prompt."""

    @classmethod
    def read(cls, stored: str) -> Self:
        """The options of a stored text; what is unknown or of the wrong type is left out."""
        if not stored:
            return cls()
        try:
            loaded = json.loads(stored)
        except ValueError:
            return cls()
        return cls().changed(loaded) if isinstance(loaded, dict) else cls()

    def changed(self, changes: dict[str, Any]) -> Self:
        """These options with the changes that have the right type; others are ignored."""
        checked = {
            field.name: changes[field.name]
            for field in fields(self)
            if field.name in changes and _fits(field.name, changes[field.name])
        }
        return replace(self, **checked)

    def for_new_sessions(self) -> Self:
        """The choices that a new session of the same user begins with."""
        return type(self)(model=self.model, thinking=self.thinking, search=self.search)

    def stored(self) -> str:
        """The text to store; empty if nothing is chosen."""
        chosen = {
            name: value
            for name, value in asdict(self).items()
            if value not in ("", None) and value is not False
        }
        return json.dumps(chosen, ensure_ascii=False) if chosen else ""


@dataclass(frozen=True)
class Bounds:
    """The defaults and limits that the owner sets for these choices."""

    thinking: str
    """The default: `off`, `on`, or an effort."""
    search: bool
    """Whether users may search the web."""
    max_tokens: int
    max_temperature: float
    max_instructions: int
    """Most characters of a user's own instructions; 0 to allow none."""


@dataclass(frozen=True)
class Settled:
    """Options after the owner's defaults and limits: what a turn runs with."""

    model: Model
    thinking: str
    search: bool
    temperature: float | None
    top_p: float | None
    max_tokens: int
    instructions: str


def settle(options: Options, models: Models, bounds: Bounds) -> Settled:
    """What a turn with these options runs with."""
    model = models.get(options.model)
    most = min(bounds.max_tokens, model.output or bounds.max_tokens)
    temperature = options.temperature
    if temperature is not None:
        temperature = min(max(temperature, 0.0), bounds.max_temperature)
    return Settled(
        model=model,
        thinking=model.thinks(options.thinking or bounds.thinking),
        search=options.search and bounds.search and model.search,
        temperature=temperature,
        top_p=None if options.top_p is None else min(max(options.top_p, 0.0), 1.0),
        max_tokens=min(max(options.max_tokens or most, 1), most),
        instructions=options.instructions[: bounds.max_instructions],
    )


LONGEST_TEXT = 10_000


def _fits(name: str, value: Any) -> bool:
    match name:
        case "search":
            return isinstance(value, bool)
        case "thinking":
            return value in ("", *get_args(Thinking))
        case "temperature" | "top_p":
            return value is None or (type(value) in (int, float) and 0 <= value <= 2)
        case "max_tokens":
            return value is None or (type(value) is int and 1 <= value <= 1_000_000)
    return isinstance(value, str) and len(value) <= LONGEST_TEXT and storable(value) == value
