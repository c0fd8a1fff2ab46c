"""The events of a streamed response, in their order and form as seen on the wire."""

from collections.abc import Iterator
from typing import Any

from chatbot.ark.offline.response_object import Round, Step
from chatbot.ark.offline.wire import event, to_json


class ResponseStream:
    """Named events, each with its `type` and a growing `sequence_number`, which comes last."""

    def __init__(self, round: Round) -> None:
        self.round = round
        self.answer = round.answer
        self._number = 0
        self._index = len(round.steps)

    def head(self) -> Iterator[bytes]:
        summary = self.round.summary()
        opening = self.event("response.created", response=summary)
        opening += self.event("response.in_progress", response=summary)
        if self.round.prefix_only:
            yield opening
            return
        for index, step in enumerate(self.round.steps):
            yield opening + self._step_added(step, index)
            yield from self._step_runs(step, index)
            opening = self._step_done(step, index)
        yield opening + (b"" if self.answer.only_thought else self._message_added())

    def deltas(self) -> Iterator[bytes]:
        before = self._before("response.output_text.delta", {"content_index": 0})
        after = self._behind(self.round.message_id, self._index)
        for piece in self.answer.pieces:
            self.answer.sent += 1
            yield before + to_json(piece) + after + self._end()

    def finish(self) -> bytes:
        silent = self.round.prefix_only or self.answer.only_thought
        parts = b"" if silent else self._message_done()
        finished = self.round.finished()
        return parts + self.event(f"response.{finished['status']}", response=finished)

    def usage(self) -> bytes:
        return b""

    def _step_added(self, step: Step, index: int) -> bytes:
        item = step.item("in_progress")
        added = self.event("response.output_item.added", output_index=index, item=item)
        if step.search is not None:
            return added + self._searching("in_progress", step, index)
        return added + self.event(
            "response.reasoning_summary_part.added",
            item_id=step.id,
            output_index=index,
            summary_index=0,
            part={"type": "summary_text"},
        )

    def _step_runs(self, step: Step, index: int) -> Iterator[bytes]:
        if step.search is not None:
            yield self._searching("searching", step, index)
            return
        before = self._before("response.reasoning_summary_text.delta", {"summary_index": 0})
        after = self._behind(step.id, index)
        for thought in step.pieces:
            yield before + to_json(thought) + after + self._end()

    def _step_done(self, step: Step, index: int) -> bytes:
        item, text = step.item("completed"), step.text
        place = {"item_id": step.id, "output_index": index}
        if step.search is not None:
            return self._searching("completed", step, index) + self.event(
                "response.output_item.done", output_index=index, item=item
            )
        part = {"type": "summary_text", "text": text}
        summary = "response.reasoning_summary"
        return (
            self.event(f"{summary}_text.done", summary_index=0, **place, text=text)
            + self.event(f"{summary}_part.done", **place, summary_index=0, part=part)
            + self.event("response.output_item.done", output_index=index, item=item)
        )

    def _searching(self, state: str, step: Step, index: int) -> bytes:
        type = f"response.web_search_call.{state}"
        return self.event(type, item_id=step.id, output_index=index)

    def _message_added(self) -> bytes:
        item = self.round.message("in_progress")
        place = {"item_id": item["id"], "output_index": self._index}
        part = {"type": "output_text"}
        added = self.event("response.output_item.added", output_index=self._index, item=item)
        return added + self.event(
            "response.content_part.added", content_index=0, **place, part=part
        )

    def _message_done(self) -> bytes:
        item, text = self.round.message(self.round.status), self.answer.text
        place = {"content_index": 0, "item_id": item["id"], "output_index": self._index}
        added = [
            self.event("response.output_text.annotation.added", **place, annotation=source)
            for source in self.round.added_sources()
        ]
        return (
            b"".join(added)
            + self.event("response.output_text.done", **place, text=text)
            + self.event("response.content_part.done", **place, part=self.round.part())
            + self.event("response.output_item.done", output_index=self._index, item=item)
        )

    def event(self, type: str, **fields: Any) -> bytes:
        """The next event of the stream, by its number."""
        payload = {"type": type, **fields, "sequence_number": self._next()}
        return event(payload, type)

    def _before(self, type: str, fields: dict[str, Any]) -> bytes:
        """A delta event up to its text; the deltas of a text differ in nothing else."""
        start = event({"type": type, **fields}, type).removesuffix(b"}\n\n")
        return start + b',"delta":'

    def _behind(self, item_id: str, index: int) -> bytes:
        return b',"item_id":"%s","output_index":%d' % (item_id.encode(), index)

    def _end(self) -> bytes:
        return b',"sequence_number":%d}\n\n' % self._next()

    def _next(self) -> int:
        self._number += 1
        return self._number - 1
