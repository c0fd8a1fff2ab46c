"""Which request fields one model accepts on one API.

`Memories` first sends what Ark documents, leaves out what a model refuses, and remembers that for a
day (`memory/learned.py`).
"""

from dataclasses import dataclass, replace

from chatbot.errors import FieldRefused

LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
OPTIONAL = (
    "thinking", "reasoning", "reasoning_effort", "temperature", "top_p", "tools", "detail",
    "expire_at", "stream_options", "max_completion_tokens", "max_tokens",
)  # fmt: skip
"""Fields that can be left out. If one of the last two is refused, the other one is sent. The
Responses API has only one limit, which stays: without it the cost of a reply has no limit. So do
the limits of a search."""


@dataclass(frozen=True)
class Dialect:
    """The fields that a model refuses. `most_output` is its largest limit of output tokens."""

    refused: frozenset[str] = frozenset()
    most_output: int | None = None

    def takes(self, field: str) -> bool:
        return field not in self.refused

    def output(self, max_tokens: int) -> int:
        """The limit of output tokens to send."""
        return max_tokens if self.most_output is None else min(max_tokens, self.most_output)

    def after(self, error: FieldRefused) -> "Dialect | None":
        """The dialect for the next try; None if the error says nothing new."""
        if error.at_most is not None and error.field in LIMITS:
            if error.at_most < 1 or error.at_most == self.most_output:
                return None
            return replace(self, most_output=error.at_most)
        if error.field in self.refused or error.field not in OPTIONAL:
            return None
        return replace(self, refused=self.refused | {error.field})


PLAIN = Dialect()
