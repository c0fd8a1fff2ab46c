"""How a model is asked through one API, which it may want in other words than the next one.

`Memories` begins with what Ark documents, leaves out what a model refuses, and keeps what it has
learned so for the life of the process.
"""

from dataclasses import dataclass, replace

from chatbot.errors import FieldRefused

LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
OPTIONAL = ("thinking", "expire_at", "stream_options", "max_completion_tokens", "max_tokens")
"""What can be left out. Of the last two the other one is sent then; the Responses API has only one
limit, and without it nobody knows what a reply costs."""


@dataclass(frozen=True)
class Dialect:
    """What a model does not take. `most_output` is its largest limit of output tokens."""

    refused: frozenset[str] = frozenset()
    most_output: int | None = None

    def takes(self, field: str) -> bool:
        return field not in self.refused

    def output(self, max_tokens: int) -> int:
        """The limit of output tokens to ask for."""
        return max_tokens if self.most_output is None else min(max_tokens, self.most_output)

    def after(self, error: FieldRefused) -> "Dialect | None":
        """How to ask instead; None when the error tells nothing new."""
        if error.at_most is not None and error.field in LIMITS:
            if error.at_most < 1 or error.at_most == self.most_output:
                return None
            return replace(self, most_output=error.at_most)
        if error.field in self.refused or error.field not in OPTIONAL:
            return None
        return replace(self, refused=self.refused | {error.field})


PLAIN = Dialect()
