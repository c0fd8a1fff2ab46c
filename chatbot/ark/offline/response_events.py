"""The events of a streamed response, in their documented order [D 1599499]."""

from collections.abc import Iterator
from typing import Any

from chatbot.ark.offline.responses import Round
from chatbot.ark.offline.wire import event, to_json


class ResponseStream:
    """Named events, each with its `type` and a growing `sequence_number`."""

    def __init__(self, round: Round) -> None:
        self.round = round
        self.answer = round.answer
        self._number = 0
        self._index = 0

    def head(self) -> Iterator[bytes]:
        summary = self.round.summary()
        opening = self._event("response.created", response=summary)
        opening += self._event("response.in_progress", response=summary)
        if self.round.prefix_only:
            yield opening
            return
        if self.answer.thoughts:
            yield opening + self._thought_added()
            yield from self._thought_deltas()
            opening = self._thought_done()
            self._index = 1
        yield opening + self._message_added()

    def deltas(self) -> Iterator[bytes]:
        name = "response.output_text.delta"
        place = {"item_id": self.round.message("")["id"], "output_index": self._index}
        before = self._before(name, {**place, "content_index": 0})
        for piece in self.answer.pieces:
            self.answer.sent += 1
            yield before + to_json(piece) + self._after()

    def finish(self) -> bytes:
        if self.round.error is not None:
            return self._event("response.failed", response=self.round.finished())
        parts = b"" if self.round.prefix_only else self._message_done()
        finished = self.round.finished()
        return parts + self._event(f"response.{finished['status']}", response=finished)

    def usage(self) -> bytes:
        return b""

    def _thought_added(self) -> bytes:
        item = self.round.thought("in_progress")
        added = self._event("response.output_item.added", output_index=0, item=item)
        return added + self._event(
            "response.reasoning_summary_part.added",
            item_id=item["id"],
            output_index=0,
            summary_index=0,
            part={"type": "summary_text", "text": ""},
        )

    def _thought_deltas(self) -> Iterator[bytes]:
        place = {"item_id": self.round.thought("")["id"], "output_index": 0, "summary_index": 0}
        before = self._before("response.reasoning_summary_text.delta", place)
        for thought in self.answer.thoughts:
            yield before + to_json(thought) + self._after()

    def _thought_done(self) -> bytes:
        item = self.round.thought("completed")
        place = {"item_id": item["id"], "output_index": 0, "summary_index": 0}
        text = self.answer.thought
        part = {"type": "summary_text", "text": text}
        return (
            self._event("response.reasoning_summary_text.done", **place, text=text)
            + self._event("response.reasoning_summary_part.done", **place, part=part)
            + self._event("response.output_item.done", output_index=0, item=item)
        )

    def _message_added(self) -> bytes:
        item = self.round.message("in_progress")
        place = {"item_id": item["id"], "output_index": self._index, "content_index": 0}
        part = {"type": "output_text", "text": ""}
        added = self._event("response.output_item.added", output_index=self._index, item=item)
        return added + self._event("response.content_part.added", **place, part=part)

    def _message_done(self) -> bytes:
        item = self.round.message(self.round.status)
        place = {"item_id": item["id"], "output_index": self._index, "content_index": 0}
        text = self.answer.text
        part = {"type": "output_text", "text": text}
        return (
            self._event("response.output_text.done", **place, text=text)
            + self._event("response.content_part.done", **place, part=part)
            + self._event("response.output_item.done", output_index=self._index, item=item)
        )

    def _event(self, type: str, **fields: Any) -> bytes:
        payload = {"type": type, **fields, "sequence_number": self._next()}
        return event(payload, type)

    def _before(self, type: str, fields: dict[str, Any]) -> bytes:
        """All of a delta event up to its text; the deltas of a text differ in nothing else."""
        start = event({"type": type, **fields}, type).removesuffix(b"}\n\n")
        return start + b',"delta":'

    def _after(self) -> bytes:
        return b',"sequence_number":%d}\n\n' % self._next()

    def _next(self) -> int:
        self._number += 1
        return self._number - 1
