"""A picture or a file that the local Ark has looked at."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Attachment:
    """What it costs in tokens, and what to call it in the two languages."""

    tokens: int
    english: str
    chinese: str
