"""Counts the tokens a turn used, call by call: as the server reported them, else estimated.

The count is never below what Ark may have counted. No database, prices or network here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from chatbot.ark.chunks import MOST_TOKENS, CallStarts, Chunk, Tokens, counted
from chatbot.ark.tokens import estimate_tokens
from chatbot.usage import Used

FEWEST = 64
"""A reported number below 1/64 of the estimate is ignored. An estimate is up to 4 times the real
count for ordinary text, and about 50 times for a run of blanks."""


@dataclass(slots=True)
class Call:
    """One call to Ark: the most tokens it can use, and what it returned."""

    starts: CallStarts
    told: Tokens | None = None
    said: list[str] = field(default_factory=list)
    """Text and thoughts received."""
    searched: int = 0
    """Web searches that were seen to end."""
    whole: bool = False
    """Whether the last reported count covers the whole answer, not only a part of it."""
    applied: bool = True
    """Whether Ark may have counted this call."""
    wrote: bool = True
    """Whether Ark may have generated tokens, even if none arrived."""

    def used(self) -> Used:
        """The reported numbers if they are plausible, else the most that Ark may have counted."""
        told = self.told or Tokens()
        if not (self.applied or self.said or self.told):
            return Used()
        prompt, cached = counted(told.prompt), 0
        if prompt and prompt * FEWEST >= self.starts.prompt_tokens - self.starts.found_tokens:
            # More cached tokens than prompt tokens is impossible: then count none as cached.
            cached = counted(told.cached) or 0
            cached = cached if cached <= prompt else 0
        else:
            prompt = self.starts.prompt_tokens
        completion = counted(told.completion)
        reasoning = counted(told.reasoning) or 0
        if completion is not None and reasoning > completion:
            # Some servers do not include the reasoning tokens in the completion tokens.
            completion = min(completion + reasoning, MOST_TOKENS)
        if completion is None or not self.whole or self._said_more(completion):
            completion = max(completion or 0, self._unseen())
        searches = self.starts.searches if self.told is None else told.searches
        searches = max(searches, self.searched)
        return Used(prompt, cached, completion, min(reasoning, completion), searches)

    def _said_more(self, completion: int) -> bool:
        """Whether this token count is too small for the text received."""
        # Compare characters first: that is faster, and mostly enough.
        characters = sum(map(len, self.said))
        few = completion * FEWEST < 4 * characters
        return few and completion * FEWEST < estimate_tokens("".join(self.said))

    def _unseen(self) -> int:
        """The most completion tokens this call can have used, given the text received."""
        limit = self.starts.completion_tokens
        if not (self.wrote and limit):
            return 0
        said = estimate_tokens("".join(self.said)) if self.said else 0
        # A model that shows no thoughts may have used tokens up to its limit.
        silent = not self.said or self.starts.hides_thoughts
        return max(said, limit) if silent else said


class Calls:
    """The calls of one turn, in order."""

    def __init__(self) -> None:
        self._calls: list[Call] = []

    def start(self, call: CallStarts) -> None:
        """Add a call that is about to be made."""
        self._calls.append(Call(call))

    def take(self, chunk: Chunk) -> None:
        """Add a chunk of the last call."""
        call = self._calls[-1]
        said = [piece for piece in (chunk.thought, chunk.text) if piece]
        call.said += said
        call.told = _larger(call.told, chunk.tokens)
        call.searched += bool(chunk.search)
        # Some servers report a count with every piece; the final count comes without text.
        call.whole = bool(chunk.finish) or (not said and (call.whole or chunk.tokens is not None))

    def fail(self, applied: bool, wrote: bool) -> None:
        """Record that the last call ended with an error."""
        if self._calls:
            self._calls[-1].applied, self._calls[-1].wrote = applied, wrote

    def used(self) -> list[Used]:
        """The tokens each call has used."""
        return [call.used() for call in self._calls]

    def most(self, following: Sequence[CallStarts] = ()) -> list[Used]:
        """The most tokens that the calls so far, and the `following` ones, can use."""
        return [*self.used(), *map(most_of, following)]

    def held(self) -> int:
        """The most tokens that a memory holds after the last call."""
        return self._calls[-1].used().total if self._calls else 0


def _larger(told: Tokens | None, again: Tokens | None) -> Tokens | None:
    """Merge two reports about the same call: the larger numbers count."""
    if told is None or again is None:
        return again or told
    prompt, completion = (
        max((number for number in map(counted, twice) if number is not None), default=None)
        for twice in ((told.prompt, again.prompt), (told.completion, again.completion))
    )
    reasoning = max(counted(told.reasoning) or 0, counted(again.reasoning) or 0)
    searches = max(told.searches, again.searches)
    return Tokens(prompt, again.cached, completion, reasoning, searches)


def most_of(call: CallStarts) -> Used:
    """The most a call can use. Only the server's report can show that some tokens were cached."""
    return Used(
        prompt=call.prompt_tokens, completion=call.completion_tokens, searches=call.searches
    )
