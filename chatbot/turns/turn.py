"""The state of one turn: takes the events of a model call; gives the text so far, the outcome and
the tokens used. Pure: no database, no network, no clock.
"""

from dataclasses import dataclass, field

from chatbot.ark.chunks import CallFailed, CallStarts, Chunk, MemorySaved, Note
from chatbot.ark.memory import Event
from chatbot.characters import storable
from chatbot.errors import ArkError, ChatbotError, Moderated
from chatbot.sources import merged, stored
from chatbot.storage.tables import State
from chatbot.storage.turn_values import Outcome
from chatbot.turns.bill import Calls
from chatbot.views import Source

CHARACTERS_PER_TOKEN = 16
"""More than one token has in any real text; only long runs of one character come close."""
SHORTEST_LIMIT = 1_000
"""Characters that every reply may have, even with a small token limit."""
LONGEST_REF = 200
MOST_REFS = 8
"""Ids that one turn may be stored under: one for each call that began to answer."""

FINISHED = {"length": State.LENGTH, "content_filter": State.FILTERED}
"""States by Ark's finish_reason; any other reason means a complete reply."""


@dataclass(slots=True)
class Turn:
    """One reply while it is generated."""

    max_output_tokens: int
    prefix: str = ""
    """The text of the reply so far, when it is continued."""
    prefix_thought: str = ""
    state: State = State.STREAMING
    error: str = ""
    calls: Calls = field(default_factory=Calls)
    first_token_ms: int | None = None
    thought_ms: int | None = None
    """How long the model thought before its answer, or until the end without one."""
    search: str | None = None
    """What it searches the web for now: empty if unknown, None if it does not search."""
    sources: tuple[Source, ...] = ()
    notes: list[str] = field(default_factory=list)
    _request_id: str = ""
    _saved: MemorySaved | None = None
    """What Ark holds; None unless the stream ended normally."""
    _refs: list[str] = field(default_factory=list)
    _text: list[str] = field(default_factory=list)
    _thought: list[str] = field(default_factory=list)
    _room_for_text: int = 0
    _room_for_thought: int = 0

    def __post_init__(self) -> None:
        self._text, self._thought = [self.prefix], [self.prefix_thought]
        most = max(CHARACTERS_PER_TOKEN * self.max_output_tokens, SHORTEST_LIMIT)
        self._room_for_text = self._room_for_thought = most

    @property
    def text(self) -> str:
        return _joined(self._text)

    @property
    def thought(self) -> str:
        return _joined(self._thought)

    @property
    def got_nothing(self) -> bool:
        """Whether this turn has received no answer text."""
        return self.text == self.prefix

    @property
    def overflows(self) -> bool:
        """Whether more text came than `max_output_tokens` allows; the rest was dropped."""
        return self._room_for_text < 0 or self._room_for_thought < 0

    def take(self, event: Event, after_ms: int) -> bool:
        """Apply an event that came `after_ms` after the start; returns whether users see it."""
        match event:
            case MemorySaved():
                self._saved = event
            case CallStarts():
                self.calls.start(event)
            case CallFailed(applied, wrote):
                self.calls.fail(applied, wrote)
            case Note(code):
                if code not in self.notes:
                    self.notes.append(code)
                return True
            case Chunk():
                self._take_chunk(event, after_ms)
                return True
        return False

    def _take_chunk(self, chunk: Chunk, after_ms: int) -> None:
        self.calls.take(chunk)
        if self.first_token_ms is None and (chunk.text or chunk.thought):
            self.first_token_ms = after_ms
        if chunk.thought and not chunk.text and self.got_nothing:
            self.thought_ms = after_ms
        if chunk.search is not None:
            self.search = chunk.search or self.search or ""
        elif chunk.text or chunk.finish:
            self.search = None
        if chunk.sources:
            self.sources = merged([*self.sources, *chunk.sources])
        if chunk.text:
            self._text.append(chunk.text[: max(self._room_for_text, 0)])
            self._room_for_text -= len(chunk.text)
        if chunk.thought:
            self._thought.append(chunk.thought[: max(self._room_for_thought, 0)])
            self._room_for_thought -= len(chunk.thought)
        is_new = chunk.ref not in self._refs and len(self._refs) < MOST_REFS
        if is_new and _is_usable(chunk.ref):
            self._refs.append(chunk.ref)
        if chunk.finish:
            self.end(FINISHED.get(chunk.finish, State.COMPLETE))

    def end(self, state: State, error: str = "") -> None:
        """Set how the turn ends. Only the first call counts."""
        if self.state is State.STREAMING:
            self.state, self.error = state, error

    def break_off(self, error: BaseException | None) -> None:
        """Set how the turn ends when its stream was cut: by this error, or, with None, by a stop.
        What Ark holds is then unknown."""
        self._saved = None
        match error:
            case None:
                return
            case TimeoutError():
                self.end(State.LENGTH, "turn_timeout")
            case ArkError():
                self._request_id = error.request_id
                self.calls.fail(error.applied, error.wrote)
                filtered = isinstance(error, Moderated)
                self.end(State.FILTERED if filtered else State.INTERRUPTED, error.reason)
            case ChatbotError():
                self.end(State.INTERRUPTED, error.code)
            case _:
                self.end(State.INTERRUPTED, ChatbotError.code)

    def outcome(self, model: str, memory_kind: str) -> Outcome:
        """How the turn ended; `memory_kind` is stored if Ark holds nothing."""
        state, error = self.state, self.error
        if not self.text and state in (State.COMPLETE, State.INTERRUPTED, State.LENGTH):
            thought = self.thought or any(call.reasoning for call in self.calls.used())
            only_thought = thought and state is State.LENGTH
            error = error or ("only_thought" if only_thought else "empty_reply")
            state = State.FAILED
        # To continue a reply, Ark got a prompt that is not part of the conversation.
        in_step = state in (State.COMPLETE, State.LENGTH) and not self.prefix
        saved = self._saved if in_step else None
        if saved is not None and saved.ref is not None and not _is_usable(saved.ref):
            saved = None
        return Outcome(
            state=state,
            content=self.text,
            thought=self.thought,
            error=error,
            notes=" ".join(self.notes),
            sources=stored(self.sources),
            thought_ms=self.thought_ms if self.thought else None,
            model=model,
            memory_kind=saved.kind if saved else memory_kind,
            ref=saved.ref if saved else None,
            refs=" ".join(self._refs),
            ref_expires_at=saved.expires_at if saved else None,
            held_tokens=self.calls.held(),
            first_token_ms=self.first_token_ms,
            request_id=self._request_id,
        )


def _is_usable(ref: str) -> bool:
    """Whether an id from a server can be stored in a list separated by spaces."""
    return 0 < len(ref) <= LONGEST_REF and ref.isprintable() and " " not in ref


def _joined(pieces: list[str]) -> str:
    """The whole text; halves of a character that lack their other half (yet) are replaced."""
    if len(pieces) > 1:
        pieces[:] = ["".join(pieces)]
    return storable(pieces[0])
