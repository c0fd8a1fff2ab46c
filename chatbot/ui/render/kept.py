"""A cache of rendered messages, because every turn shows the same messages again at its end."""

from collections import OrderedDict

from chatbot.ui.render.answer import answer

MOST_CHARS = 8_000_000


class Kept:
    """Rendered answers by their text, up to `most_chars` characters, latest used."""

    def __init__(self, most_chars: int = MOST_CHARS) -> None:
        self._most = most_chars
        self._chars = 0
        self._answers: OrderedDict[str, str] = OrderedDict()

    def __contains__(self, text: str) -> bool:
        return text in self._answers

    def answer(self, text: str) -> str:
        """`answer`, from the cache if possible."""
        html = self._answers.get(text)
        if html is not None:
            self._answers.move_to_end(text)
            return html
        html = answer(text)
        self._answers[text] = html
        self._chars += len(text) + len(html)
        while self._chars > self._most:
            self._chars -= sum(map(len, self._answers.popitem(last=False)))
        return html
