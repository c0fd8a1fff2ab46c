"""Servers that send too much, in too many pieces, packed too tightly, or in odd but legal ways."""

import asyncio
import functools
import gzip
import json
import ssl
import tracemalloc
import zlib
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from starlette.applications import Starlette
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from chatbot.ark import body
from chatbot.ark.chunks import CallOptions, PromptMessage
from chatbot.ark.client import ArkClient
from chatbot.clock import now
from chatbot.errors import ArkError, ArkSilent, BadRequest, ReplyTooLong, StreamBroken
from tests.wire.serving import serving

pytestmark = pytest.mark.anyio

MB = 1024 * 1024
certificates = functools.cache(ssl.create_default_context)


@pytest.fixture(autouse=True)
def certificates_read_once(monkeypatch):
    monkeypatch.setattr(ssl, "create_default_context", certificates)


class Server:
    """Answers every POST with what `answer` is at the moment; keeps what it was asked."""

    def __init__(self):
        self.answer = None
        self.headers = []
        routes = [Route("/{path:path}", self.take, methods=["POST", "DELETE"])]
        self.app = Starlette(routes=routes)

    async def take(self, request):
        self.headers.append(dict(request.headers))
        await request.body()
        return self.answer()


@pytest.fixture(scope="module")
def server():
    server = Server()
    with serving(server.app) as url:
        server.url = url
        yield server


@asynccontextmanager
async def client(server, path="/api/v3", seconds=20):
    made = ArkClient(
        api_key="k", base_url=server.url + path, first_token_seconds=seconds, idle_seconds=seconds
    )
    yield made
    await made.close()


async def asked(server, kind="chat", max_tokens=100, **more):
    """The text of an answer, and the error that ended it."""
    text, thought = "", ""
    async with client(server, **more) as made:
        lines = [PromptMessage("user", "hi")]
        if kind == "chat":
            stream = made.stream_chat("m", lines, CallOptions(max_tokens))
        else:
            expires = now() + timedelta(hours=1)
            stream = made.stream_response("m", None, lines, CallOptions(max_tokens), expires)
        finish = ""
        try:
            async for chunk in stream:
                text += chunk.text
                thought += chunk.thought
                finish = chunk.finish or finish
        except ArkError as error:
            return text, error
    return text, finish


def event(value):
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def delta(text, finish=None):
    return event({"choices": [{"delta": {"content": text}, "finish_reason": finish}]})


WHOLE = delta("one ") + delta("two", "stop") + b"data: [DONE]\n\n"


def streamed(*pieces, status=200, **headers):
    async def sent():
        for piece in pieces:
            yield piece

    named = {name.replace("_", "-"): value for name, value in headers.items()}
    media = named.pop("content-type", "text/event-stream")
    return lambda: StreamingResponse(sent(), status, named, media_type=media)


def endless(piece, media="text/event-stream"):
    async def sent():
        while True:
            yield piece
            await asyncio.sleep(0)

    return lambda: StreamingResponse(sent(), 200, media_type=media)


def bomb(size):
    """So many bytes of a stream's data line, packed into a thousandth of them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    packed = packer.compress(b"data: ")
    for _ in range(size // MB):
        packed += packer.compress(b"x" * MB)
    return packed + packer.flush()


@pytest.fixture
def frugal():
    """Fails when more than 40 MB are in use at once."""
    tracemalloc.start()
    yield
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 40 * MB


async def test_nothing_packed_is_asked_for(server):
    server.answer = streamed(WHOLE)
    assert await asked(server) == ("one two", "stop")
    assert server.headers[-1]["accept-encoding"] == "identity"


@pytest.mark.parametrize("status", [200, 400, 500])
async def test_a_gzip_bomb_does_not_burst(server, status, frugal):
    packed = bomb(209 * MB)
    assert len(packed) < MB
    server.answer = streamed(packed, status=status, content_encoding="gzip")
    text, error = await asked(server)
    assert text == ""
    assert isinstance(error, ArkError)


@pytest.mark.parametrize(
    ("pack", "name"), [(gzip.compress, "gzip"), (zlib.compress, "deflate"), (bytes, "identity")]
)
async def test_what_a_proxy_has_packed_is_read(server, pack, name):
    packed = pack(WHOLE)
    server.answer = streamed(*(packed[n : n + 7] for n in range(0, len(packed), 7)),
                             content_encoding=name)  # fmt: skip
    assert await asked(server) == ("one two", "stop")


@pytest.mark.parametrize("name", ["br", "zstd", "gzip, gzip", "gzip"])
async def test_what_cannot_be_unpacked_is_told(server, name):
    server.answer = streamed(WHOLE, content_encoding=name)
    text, error = await asked(server)
    assert (text, type(error)) == ("", StreamBroken)


@pytest.mark.parametrize(
    "piece",
    [b"data: " + b"x" * MB, b"x" * MB, b"{" + b" " * MB, b'data: "' + b"x" * 1000 + b'"\n'],
    ids=["event", "line", "object", "lines of one event"],
)
async def test_an_event_without_end_is_left(server, piece, frugal):
    server.answer = endless(piece.replace(b"\n", b"") if b"\n" not in piece else piece)
    text, error = await asked(server)
    assert (text, type(error)) == ("", StreamBroken)


EMPTY = {
    "empty": event({}),
    "usage": event({"choices": [], "usage": {"prompt_tokens": 1}}),
    "unknown": event({"type": "response.mood", "delta": "x"}),
}


@pytest.mark.parametrize("name", EMPTY)
@pytest.mark.parametrize("kind", ["chat", "responses"])
async def test_events_without_a_word_do_not_go_on_for_ever(server, name, kind):
    server.answer = endless(EMPTY[name] * 50)
    text, error = await asked(server, kind)
    assert (text, type(error)) == ("", ReplyTooLong)


async def test_comments_alone_are_silence(server):
    server.answer = endless(b": still here\n\n" * 10)
    text, error = await asked(server, seconds=0.3)
    assert (text, type(error)) == ("", ArkSilent)


async def test_a_stream_is_bounded_in_all(server, monkeypatch):
    monkeypatch.setattr(body, "STREAM_BYTES", MB)
    server.answer = endless(delta("x" * 10_000))
    text, error = await asked(server, max_tokens=10**9)
    assert 500_000 < len(text) < MB
    assert isinstance(error, StreamBroken)


async def test_of_an_errors_body_only_the_beginning_is_read(server, frugal):
    told = {"error": {"code": "InvalidParameter", "message": "m", "param": "", "type": "t"}}
    server.answer = lambda: Response(json.dumps(told), 400, media_type="application/json")
    assert isinstance((await asked(server))[1], BadRequest)
    page = b"<html>" + b" " * MB
    sent = 0

    async def going_on():
        nonlocal sent
        while sent < 500 * MB:
            sent += len(page)
            yield page
            await asyncio.sleep(0)

    server.answer = lambda: StreamingResponse(going_on(), 400, media_type="text/html")
    error = (await asked(server))[1]
    assert isinstance(error, BadRequest)
    assert sent < 100 * MB, "the connection is left"


async def test_a_context_without_end_is_left(server):
    server.answer = endless(b" " * MB, media="application/json")
    async with client(server) as made:
        with pytest.raises(ArkError):
            await made.create_context("m", [PromptMessage("system", "x")], 3600)


@pytest.mark.parametrize("told", [b"[" * 100_000, b'{"id": 5}', b'{"id": "' + b"x" * 999 + b'"}',
                                  b'{"id": ""}', b"{}", b"null", b"page"])  # fmt: skip
async def test_what_is_no_context_is_told(server, told):
    server.answer = lambda: Response(told, 200, media_type="application/json")
    async with client(server) as made:
        with pytest.raises(StreamBroken):
            await made.create_context("m", [PromptMessage("system", "x")], 3600)


# Odd but legal: what each make of server may send.

JSON_CHAT = {"choices": [{"message": {"content": "one two"}, "finish_reason": "stop"}],
             "usage": {"prompt_tokens": 3, "completion_tokens": 2}}  # fmt: skip
JSON_RESPONSE = {"object": "response", "id": "resp_1", "status": "completed", "output": [
    {"type": "message", "content": [{"type": "output_text", "text": "one two"}]}]}  # fmt: skip
ODD = {
    "BOM": b"\xef\xbb\xbf" + WHOLE,
    "CR": WHOLE.replace(b"\n", b"\r"),
    "CRLF": WHOLE.replace(b"\n", b"\r\n"),
    "no blank": WHOLE.replace(b"data: ", b"data:"),
    "fields": b"retry: 5\nid: 1\nevent: message\n" + WHOLE,
    "no DONE": WHOLE.removesuffix(b"data: [DONE]\n\n"),
}


@pytest.mark.parametrize("name", ODD)
async def test_odd_but_legal_streams_are_read(server, name):
    server.answer = streamed(ODD[name])
    assert await asked(server) == ("one two", "stop")


@pytest.mark.parametrize(("kind", "told"), [("chat", JSON_CHAT), ("responses", JSON_RESPONSE)])
@pytest.mark.parametrize("media", ["application/json", "text/event-stream", "text/plain"])
async def test_one_json_object_though_a_stream_was_asked_for(server, kind, told, media):
    server.answer = streamed(json.dumps(told, indent=1).encode(), content_type=media)
    assert await asked(server, kind) == ("one two", "stop")


@pytest.mark.parametrize(("path", "finish"), [("/v1", "stop"), ("/api/v3", "")])
async def test_an_end_without_a_reason_is_one_for_other_servers(server, path, finish):
    server.answer = streamed(delta("one ") + delta("two") + b"data: [DONE]\n\n")
    text, end = await asked(server, path=path)
    assert text == "one two"
    assert end == finish if finish else isinstance(end, StreamBroken)


async def test_an_end_without_a_word_is_none(server):
    server.answer = streamed(b"data: [DONE]\n\n")
    assert isinstance((await asked(server, path="/v1"))[1], StreamBroken)


async def test_the_last_event_has_the_text_that_did_not_come_before(server):
    last = {"type": "response.completed", "response": JSON_RESPONSE}
    server.answer = streamed(event({"type": "response.created"}) + event(last))
    assert await asked(server, "responses") == ("one two", "stop")
    first = {"type": "response.output_text.delta", "delta": "one "}
    server.answer = streamed(event(first) + event(last))
    assert await asked(server, "responses") == ("one ", "stop"), "it is not told twice"
