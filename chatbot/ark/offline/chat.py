"""Chat completions as bytes [D 1494384], which the Context API shares [D 1529329].

The keys of a chunk stand in the order seen on the wire in September 2026.
"""

from collections.abc import Iterator
from typing import Any

from chatbot.ark.offline.answer import Answer, seal
from chatbot.ark.offline.messages import check_flag
from chatbot.ark.offline.refusals import invalid
from chatbot.ark.offline.usage import Usage, count_tokens
from chatbot.ark.offline.wire import event, to_json


class ChatStream:
    """`data:` events without a name; every chunk says `usage:null` but the one that has it."""

    def __init__(self, answer: Answer, id: str, created: int, model: str, body: dict[str, Any]):
        self.answer = answer
        options = body.get("stream_options") or {}
        if not isinstance(options, dict):
            raise invalid("stream_options", "it must be an object")
        self.running_usage = check_flag(options, "chunk_include_usage")
        self.last_usage = check_flag(options, "include_usage") or self.running_usage
        self._frame = {
            "created": created,
            "id": id,
            "model": model,
            "service_tier": "default",
            "object": "chat.completion.chunk",
        }
        # Only the text differs from chunk to chunk, so the rest is rendered once.
        self._before = b'data: {"choices":[{"delta":{"content":'
        frame = to_json(self._frame)[1:-1]
        self._after = b',"role":"assistant"},"index":0}],' + frame + b',"usage":null}\n\n'

    def head(self) -> Iterator[bytes]:
        for thought in self.answer.thoughts:
            yield self.chunk(part("", reasoning_content=thought))
        if self.answer.thoughts and self.answer.sealed:
            sealed = seal(self.answer.thought)
            yield self.chunk(part("", encrypted_content=sealed))

    def deltas(self) -> Iterator[bytes]:
        answer = self.answer
        if self.running_usage:
            yield from self._deltas_with_usage()
            return
        for piece in answer.pieces:
            answer.sent += 1
            yield self._before + to_json(piece) + self._after

    def _deltas_with_usage(self) -> Iterator[bytes]:
        price, reasoning = self.answer.price, count_tokens(self.answer.thought)
        for piece in self.answer.pieces:
            self.answer.sent += 1
            chunk = self.payload(part(piece))
            spent = reasoning + count_tokens(self.answer.said)
            chunk["usage"] = Usage(price.prompt, price.cached, spent).chat()
            yield event(chunk)

    def finish(self) -> bytes:
        return self.chunk(part(""), self.answer.finish)

    def usage(self) -> bytes:
        if not self.last_usage:
            return b""
        return event({"choices": [], **self._frame, "usage": self.answer.usage.chat()})

    def chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        return event(self.payload(delta, finish))

    def payload(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        reason = {"finish_reason": finish} if finish else {}
        choice = {"delta": delta, **reason, "index": 0}
        return {"choices": [choice], **self._frame, "usage": None}


def part(content: str, **more: str) -> dict[str, Any]:
    """The new part of the answer."""
    return {"content": content, **more, "role": "assistant"}


def completion(answer: Answer, id: str, created: int, model: str) -> dict[str, Any]:
    """The answer in one piece."""
    message = {"role": "assistant", "content": answer.text}
    if answer.thoughts:
        message["reasoning_content"] = answer.thought
        if answer.sealed:
            message["encrypted_content"] = seal(answer.thought)
    finish = {"logprobs": None, "finish_reason": answer.finish}
    return {
        "id": id,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "service_tier": "default",
        "choices": [{"index": 0, "message": message, **finish}],
        "usage": answer.usage.chat(),
    }
