"""What is said. Old messages hold no digits: replies are told by their numbers."""

SENTENCE = "The quick brown fox jumps over the lazy dog while nobody is looking. "


def message(size: int = 1024) -> str:
    return (SENTENCE * (size // len(SENTENCE) + 1))[:size]


def history(count: int, size: int = 1024) -> list[dict[str, str]]:
    """So many messages, questions and replies in turn."""
    text = message(size)
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place in range(count)]
