"""What a turn used: the sum over its calls to Ark, by what the server told and else by estimate.

Never below what Ark may have counted. Knows no database, no prices and no network.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from chatbot.ark.chunks import MOST_TOKENS, CallStarts, Chunk, Tokens, counted
from chatbot.ark.tokens import estimate_tokens
from chatbot.usage import Used

FEWEST = 64
"""A told number below a 64th of the estimate is not believed. An estimate is up to four times the
real count for ordinary text, and some fifty times for a run of blanks."""


@dataclass(slots=True)
class Call:
    """One call to Ark: the most it can use, and what came of it."""

    starts: CallStarts
    told: Tokens | None = None
    said: list[str] = field(default_factory=list)
    """Text and thoughts that came."""
    whole: bool = False
    """Whether what was told last is of the whole answer, not of what there was by then."""
    applied: bool = True
    """Whether Ark may have counted it."""
    wrote: bool = True
    """Whether Ark may have begun to answer, seen or unseen."""

    def used(self) -> Used:
        """The told numbers where they can be true, else the most that Ark may have counted."""
        told = self.told or Tokens()
        if not (self.applied or self.said or self.told):
            return Used()
        prompt, cached = counted(told.prompt), 0
        if prompt and prompt * FEWEST >= self.starts.prompt_tokens:
            # More cached tokens than tokens cannot be; then all count in full.
            cached = counted(told.cached) or 0
            cached = cached if cached <= prompt else 0
        else:
            prompt = self.starts.prompt_tokens
        completion = counted(told.completion)
        reasoning = counted(told.reasoning) or 0
        if completion is not None and reasoning > completion:
            # Some servers tell the thoughts beside the answer, not within it.
            completion = min(completion + reasoning, MOST_TOKENS)
        if completion is None or not self.whole or self._said_more(completion):
            completion = max(completion or 0, self._unseen())
        return Used(prompt, cached, completion, min(reasoning, completion))

    def _said_more(self, completion: int) -> bool:
        """Whether so few tokens cannot be what came."""
        # In characters first: most are far from it, and they are counted faster.
        characters = sum(map(len, self.said))
        few = completion * FEWEST < 4 * characters
        return few and completion * FEWEST < estimate_tokens("".join(self.said))

    def _unseen(self) -> int:
        """The most completion tokens there can be, by what came."""
        limit = self.starts.completion_tokens
        if not (self.wrote and limit):
            return 0
        said = estimate_tokens("".join(self.said)) if self.said else 0
        # Nobody can say how much a silent model has thought, up to its limit.
        silent = not self.said or self.starts.hides_thoughts
        return max(said, limit) if silent else said


class Calls:
    """The calls of one turn, in order."""

    def __init__(self) -> None:
        self._calls: list[Call] = []

    def start(self, call: CallStarts) -> None:
        """A call is about to be made."""
        self._calls.append(Call(call))

    def take(self, chunk: Chunk) -> None:
        """Something came of the last call."""
        call = self._calls[-1]
        said = [piece for piece in (chunk.thought, chunk.text) if piece]
        call.said += said
        call.told = _larger(call.told, chunk.tokens)
        # Some servers count with every piece; the last count comes with none.
        call.whole = bool(chunk.finish) or (not said and (call.whole or chunk.tokens is not None))

    def fail(self, applied: bool, wrote: bool) -> None:
        """The last call ended with an error."""
        if self._calls:
            self._calls[-1].applied, self._calls[-1].wrote = applied, wrote

    def used(self) -> list[Used]:
        """What each call has used."""
        return [call.used() for call in self._calls]

    def most(self, following: Sequence[CallStarts] = ()) -> list[Used]:
        """The most that the calls so far, and those that follow, can use."""
        return [*self.used(), *map(most_of, following)]

    def held(self) -> int:
        """The most tokens that a memory holds after the last call."""
        return self._calls[-1].used().total if self._calls else 0


def _larger(told: Tokens | None, again: Tokens | None) -> Tokens | None:
    """What was told of a call, twice: the larger numbers count."""
    if told is None or again is None:
        return again or told
    prompt, completion = (
        max((number for number in map(counted, twice) if number is not None), default=None)
        for twice in ((told.prompt, again.prompt), (told.completion, again.completion))
    )
    reasoning = max(counted(told.reasoning) or 0, counted(again.reasoning) or 0)
    return Tokens(prompt, again.cached, completion, reasoning)


def most_of(call: CallStarts) -> Used:
    """What a call uses at most. Nothing is cached for certain before the server says so."""
    return Used(prompt=call.prompt_tokens, completion=call.completion_tokens)
