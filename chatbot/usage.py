"""Numbers of tokens as they are paid for. What a server told is in `ark/chunks.py`, how the one
becomes the other in `bill.py`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Used:
    """Tokens of one or more calls: `prompt` includes `cached`, `completion` includes `reasoning`;
    none is negative."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        return self.prompt + self.completion

    def __add__(self, other: "Used") -> "Used":
        return Used(
            self.prompt + other.prompt,
            self.cached + other.cached,
            self.completion + other.completion,
            self.reasoning + other.reasoning,
        )
