"""Faults of the local Ark as the real SDK sees them: the rows of Ark's table of errors
[D 1299023], and streams that go wrong in every way a service must survive."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
from volcenginesdkarkruntime import AsyncArk
from volcenginesdkarkruntime import _exceptions as ark_errors

from chatbot.ark.offline import count_tokens
from chatbot.ark.offline.showcase import EMOJI
from tests.fake_ark import FAULTS, FakeArk, Fault, SteeredArk

pytestmark = pytest.mark.anyio

ENDPOINT = "ep-20250410-demo"
MODEL = "doubao-seed-1-6-251015"
COUNTED = "1 2 3 4 5 6 7 8 9"

ERRORS = {
    400: ark_errors.ArkBadRequestError,
    401: ark_errors.ArkAuthenticationError,
    402: ark_errors.ArkAPIStatusError,
    403: ark_errors.ArkPermissionDeniedError,
    404: ark_errors.ArkNotFoundError,
    408: ark_errors.ArkAPIStatusError,
    409: ark_errors.ArkConflictError,
    422: ark_errors.ArkUnprocessableEntityError,
    429: ark_errors.ArkRateLimitError,
    500: ark_errors.ArkInternalServerError,
    502: ark_errors.ArkInternalServerError,
    503: ark_errors.ArkInternalServerError,
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def ark() -> Iterator[SteeredArk]:
    with SteeredArk(pace=0) as ark:
        yield ark


def plain_http(**options: Any) -> httpx.AsyncClient:
    # Loading certificates, which loopback does not need, takes longer than most tests here.
    return httpx.AsyncClient(verify=False, trust_env=False, **options)


def new_client(base_url: str) -> AsyncArk:
    return AsyncArk(base_url=base_url, api_key="a-key", max_retries=0, http_client=plain_http())


@pytest.fixture
async def client(ark: FakeArk) -> AsyncIterator[AsyncArk]:
    client = new_client(ark.base_url)
    yield client
    await client.close()


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


async def chat(client: AsyncArk, text: str = "count 9", **options: Any) -> Any:
    return await client.chat.completions.create(model=MODEL, messages=[user(text)], **options)


async def respond(client: AsyncArk, **options: Any) -> Any:
    return await client.responses.create(model=MODEL, input="count 9", **options)


async def in_context(client: AsyncArk, **options: Any) -> Any:
    created = await client.context.create(model=ENDPOINT, messages=[user("hello")])
    return await client.context.completions.create(
        model=ENDPOINT, context_id=created.id, messages=[user("count 9")], **options
    )


class Heard:
    """What arrived of a chat stream before it ended, and with what error."""

    def __init__(self) -> None:
        self.text = ""
        self.finish: str | None = None
        self.usage: Any = None
        self.empty_chunks = 0
        self.error: BaseException | None = None


async def hear(stream: Any) -> Heard:
    heard = Heard()
    try:
        async for chunk in stream:
            if chunk.choices is None:
                heard.empty_chunks += 1
            for choice in chunk.choices or []:
                heard.text += choice.delta.content or ""
                heard.finish = choice.finish_reason or heard.finish
            heard.usage = chunk.usage or heard.usage
    except Exception as error:
        heard.error = error
    return heard


async def eventually(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        await asyncio.sleep(0.005)


ON_RESPONSES = ("failed", "error_flat", "incomplete", "unknown_event")
REFUSALS = [(name, fault) for name, fault in FAULTS.items() if fault.kind == "http"]


@pytest.mark.parametrize(("name", "fault"), REFUSALS, ids=[name for name, _ in REFUSALS])
async def test_each_row_of_the_table_reaches_its_exception(
    client: AsyncArk, ark: FakeArk, name: str, fault: Fault
) -> None:
    ark.fail_next(fault)
    with pytest.raises(ark_errors.ArkAPIStatusError) as refused:
        await chat(client, stream=True)
    error = refused.value
    assert type(error) is ERRORS[fault.status]
    assert (error.status_code, error.code) == (fault.status, name)
    request_id = error.response.headers["x-request-id"]
    assert error.body["message"].endswith(f" Request id: {request_id}")
    assert (await hear(await chat(client, stream=True))).text == COUNTED


def test_the_table_is_complete() -> None:
    """The codes a service has to tell apart, one of each family at least."""
    codes = {fault.code for _, fault in REFUSALS}
    assert codes >= {
        "MissingParameter", "InvalidParameter", "OutofContextError", "SensitiveContentDetected",
        "InputTextSensitiveContentDetected", "OutputTextSensitiveContentDetected",
        "InputTextRiskDetection", "InvalidEndpoint.ClosedEndpoint", "AuthenticationError",
        "InvalidAccountStatus", "AccountOverdueError", "AccessDenied",
        "OperationDenied.InvalidState", "OperationDenied.ServiceNotOpen", "ModelNotOpen",
        "InvalidEndpointOrModel.NotFound", "UnsupportedModel", "QuotaExceeded",
        "SetLimitExceeded", "ServerOverloaded", "RequestBurstTooFast", "InternalServiceError",
    }  # fmt: skip


async def test_a_refusal_carries_what_it_was_given(client: AsyncArk, ark: FakeArk) -> None:
    headers = {"Retry-After": "7"}
    ark.fail_next(
        Fault.http(429, "QuotaExceeded", "Used up.", type="Odd", param="model", headers=headers)
    )
    with pytest.raises(ark_errors.ArkRateLimitError) as refused:
        await chat(client)
    error = refused.value
    assert (error.type, error.param) == ("Odd", "model")
    assert error.body["message"].startswith("Used up. ")
    assert error.response.headers["retry-after"] == "7"


async def test_faults_wait_for_the_call_they_are_for(client: AsyncArk, ark: FakeArk) -> None:
    ark.fail_next(Fault.http(500, "InternalServiceError").on("create"))
    ark.fail_next(Fault.http(403, "AccessDenied").on("responses"))
    ark.fail_next(Fault.drop(after=0).on("chat"))
    ark.fail_next(Fault.no_done())
    with pytest.raises(ark_errors.ArkInternalServerError):
        await in_context(client)
    with pytest.raises(ark_errors.ArkPermissionDeniedError):
        await respond(client)
    # Only a stream can lack its [DONE], so an answer in one piece leaves that fault alone.
    assert (await in_context(client)).choices[0].message.content == COUNTED
    assert isinstance((await hear(await chat(client, stream=True))).error, httpx.TransportError)
    assert [fault.kind for fault in ark.pending_faults()] == ["no_done"]


async def test_create_is_spared_unless_it_is_named(client: AsyncArk, ark: FakeArk) -> None:
    ark.fail_next(Fault.http(429, "ServerOverloaded"))
    with pytest.raises(ark_errors.ArkRateLimitError):
        await in_context(client)
    assert [request.status for request in ark.requests] == [200, 429]


@pytest.mark.parametrize(
    ("fault", "body"), [(Fault.html(), "<html><body>"), (Fault.empty(503), "")]
)
async def test_answers_that_are_not_json(
    client: AsyncArk, ark: FakeArk, fault: Fault, body: str
) -> None:
    ark.fail_next(fault)
    with pytest.raises(ark_errors.ArkInternalServerError) as refused:
        await chat(client, stream=True)
    assert refused.value.status_code == fault.status
    assert refused.value.code is None
    assert refused.value.response.text.startswith(body)


async def test_a_reset_before_the_headers(client: AsyncArk, ark: FakeArk) -> None:
    ark.fail_next(Fault.reset())
    with pytest.raises(ark_errors.ArkAPIConnectionError) as broken:
        await chat(client, stream=True)
    assert isinstance(broken.value.__cause__, httpx.ReadError)
    await eventually(lambda: ark.requests[-1].finished)
    assert ark.requests[-1].status is None


async def test_silence_before_the_headers(client: AsyncArk, ark: FakeArk) -> None:
    ark.fail_next(Fault.silence_before())
    with pytest.raises(ark_errors.ArkAPITimeoutError):
        await chat(client, stream=True, timeout=0.1)
    await eventually(lambda: ark.requests[-1].disconnected)
    ark.fail_next(Fault.silence_before(seconds=0.1))
    began = time.monotonic()
    assert (await hear(await chat(client, stream=True))).text == COUNTED
    assert time.monotonic() - began >= 0.1


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_slow_start(client: AsyncArk, ark: FakeArk, streaming: bool) -> None:
    ark.fail_next(Fault.slow_start(seconds=0.15))
    began = time.monotonic()
    answer = await chat(client, stream=streaming)
    if streaming:
        headers_after = time.monotonic() - began
        await answer.__anext__()
        assert headers_after < time.monotonic() - began - 0.1
        await answer.close()
    assert time.monotonic() - began >= 0.15


@pytest.mark.parametrize("call", [chat, in_context])
@pytest.mark.parametrize(
    ("fault", "text", "finish", "error"),
    [
        (Fault.drop(after=3), "1 2 3", None, httpx.RemoteProtocolError),
        (Fault.drop(after=0), "", None, httpx.RemoteProtocolError),
        (Fault.no_done(), COUNTED, "stop", None),
        (Fault.no_finish(), COUNTED, None, None),
        (Fault.end(after=2), "1 2", None, None),
        (Fault.stream_error(after=2), "1 2", None, ark_errors.ArkAPIError),
        (Fault.stream_error_text(after=2), "1 2", None, ark_errors.ArkAPIError),
        (Fault.error_event(after=2), "1 2", None, None),
        (Fault.bad_json(after=2), "1 2", None, json.JSONDecodeError),
        (Fault.null_choices(after=2), COUNTED, "stop", None),
        (Fault.content_filter(after=2), "1 2", "content_filter", None),
        (Fault.length(after=2), "1 2", "length", None),
        (Fault.keep_alive(), COUNTED, "stop", None),
        (Fault.split_utf8(), COUNTED, "stop", None),
        (Fault.silence(after=2, seconds=0.05), COUNTED, "stop", None),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else None,
)
async def test_streams_that_go_wrong(
    client: AsyncArk, ark: FakeArk, call: Any, fault: Fault, text: str, finish: str | None,
    error: type[Exception] | None,
) -> None:  # fmt: skip
    ark.fail_next(fault)
    heard = await hear(await call(client, stream=True))
    assert (heard.text, heard.finish) == (text, finish)
    assert type(heard.error) is (error or type(None))
    assert heard.empty_chunks == (fault.kind in ("null_choices", "error_event"))
    assert ark.pending_faults() == []


async def test_an_error_in_mid_stream_keeps_its_words(client: AsyncArk, ark: FakeArk) -> None:
    ark.fail_next(Fault.stream_error(after=1, code="ServerOverloaded", message="Later."))
    error = (await hear(await chat(client, stream=True))).error
    assert isinstance(error, ark_errors.ArkAPIError)
    assert not isinstance(error, ark_errors.ArkAPIStatusError)
    assert (error.code, error.message) == ("ServerOverloaded", "Later.")
    ark.fail_next(Fault.stream_error_text(after=1, message="broken"))
    error = (await hear(await chat(client, stream=True))).error
    assert isinstance(error, ark_errors.ArkAPIError)
    assert error.body == "broken"


async def test_silence_in_mid_stream_lasts_until_the_client_leaves(
    client: AsyncArk, ark: FakeArk
) -> None:
    ark.fail_next(Fault.silence(after=3))
    heard = await hear(await in_context(client, stream=True, timeout=0.1))
    assert heard.text == "1 2 3"
    assert type(heard.error) is httpx.ReadTimeout
    await eventually(lambda: ark.requests[-1].disconnected)
    (context,) = ark.contexts.values()
    await eventually(lambda: not context.busy)
    assert context.messages[-1] == {"role": "assistant", "content": "1 2 3"}


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("fault", [Fault.content_filter(after=3), Fault.drop(after=3)])
async def test_what_a_context_keeps_of_a_broken_turn(
    client: AsyncArk, ark: FakeArk, fault: Fault, keeps: bool
) -> None:
    ark.keeps_partial = keeps
    ark.fail_next(fault)
    await hear(await in_context(client, stream=True))
    (context,) = ark.contexts.values()
    await eventually(lambda: not context.busy)
    turn = [user("count 9"), {"role": "assistant", "content": "1 2 3"}]
    assert context.messages[1:] == (turn if keeps else [])


async def test_a_refusal_leaves_the_context_alone(client: AsyncArk, ark: FakeArk) -> None:
    ark.fail_next(FAULTS["OperationDenied.InvalidState"])
    with pytest.raises(ark_errors.ArkPermissionDeniedError) as denied:
        await in_context(client, stream=True)
    assert "is in invalid state: InProgress." in denied.value.body["message"]
    (context,) = ark.contexts.values()
    assert (context.messages, context.busy) == ([user("hello")], False)


async def test_characters_are_split_across_writes(ark: FakeArk) -> None:
    ark.fail_next(Fault.split_utf8())
    body = {"model": MODEL, "messages": [user("表情")], "stream": True}
    headers = {"Authorization": "Bearer k"}
    reads = []
    async with (
        plain_http(headers=headers) as raw,
        raw.stream("POST", f"{ark.base_url}/chat/completions", json=body) as answer,
    ):
        reads = [data async for data in answer.aiter_raw()]

    def is_whole(data: bytes) -> bool:
        try:
            data.decode()
        except UnicodeDecodeError:
            return False
        return True

    assert not all(map(is_whole, reads))
    payloads = [line[6:] for line in b"".join(reads).decode().split("\n\n") if line]
    chunks = [json.loads(payload) for payload in payloads[:-1]]
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks) == EMOJI["zh"]


async def test_the_sdk_puts_split_characters_together(client: AsyncArk, ark: FakeArk) -> None:
    ark.fail_next(Fault.split_utf8())
    assert (await hear(await chat(client, "表情", stream=True))).text == EMOJI["zh"]


async def test_keep_alive_comments_are_sent(ark: FakeArk) -> None:
    ark.fail_next(Fault.keep_alive())
    body = {"model": MODEL, "input": "count 3", "stream": True}
    headers = {"Authorization": "Bearer k"}
    async with plain_http(headers=headers) as raw:
        answer = await raw.post(f"{ark.base_url}/responses", json=body)
    assert answer.text.startswith(": keep-alive\n\n")
    assert answer.text.count(": keep-alive\n\n") >= 4
    assert answer.text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("shape", "usage"),
    [
        ("none", None),
        ("empty", None),
        # The SDK hands a partial usage through as a plain dict.
        ("partial", {"prompt_tokens": 7, "prompt_tokens_details": {}}),
    ],
)
async def test_usage_may_be_missing_or_odd(
    client: AsyncArk, ark: FakeArk, shape: Any, usage: Any
) -> None:
    ark.fail_next(Fault.with_usage(shape))
    options = {"include_usage": True}
    heard = await hear(await chat(client, stream=True, stream_options=options))
    assert (heard.text, heard.finish) == (COUNTED, "stop")
    assert heard.usage == usage
    ark.fail_next(Fault.with_usage(shape))
    response = await respond(client)
    assert getattr(response.usage, "total_tokens", None) is None


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        # The SDK reads the body inside its send, so a broken one is a broken connection.
        (Fault.drop(), ark_errors.ArkAPIConnectionError),
        (Fault.bad_json(), json.JSONDecodeError),
    ],
)
async def test_answers_in_one_piece_that_are_cut(
    client: AsyncArk, ark: FakeArk, fault: Fault, error: type[Exception]
) -> None:
    ark.fail_next(fault)
    with pytest.raises(error):
        await chat(client)


@pytest.mark.parametrize("finish", ["content_filter", "length"])
async def test_answers_in_one_piece_that_end_early(
    client: AsyncArk, ark: FakeArk, finish: str
) -> None:
    ark.fail_next(FAULTS[finish])
    completion = await chat(client)
    assert completion.choices[0].finish_reason == finish
    assert completion.choices[0].message.content == "1 2 3"
    assert completion.usage.completion_tokens == count_tokens("1 2 3")


class TestResponses:
    async def events(self, client: AsyncArk) -> tuple[list[Any], Exception | None]:
        events: list[Any] = []
        try:
            async for event in await respond(client, stream=True):
                events.append(event)
        except (ark_errors.ArkAPIError, httpx.HTTPError, json.JSONDecodeError) as error:
            return events, error
        return events, None

    def text(self, events: list[Any]) -> str:
        return "".join(e.delta for e in events if e.type == "response.output_text.delta")

    async def test_failed(self, client: AsyncArk, ark: FakeArk) -> None:
        ark.fail_next(Fault.failed(after=2, code="server_error"))
        events, error = await self.events(client)
        assert error is None
        assert self.text(events) == "1 2"
        assert events[-1].type == "response.failed"
        assert events[-1].response.status == "failed"
        assert events[-1].response.error.code == "server_error"
        assert ark.responses == {}

    async def test_a_flat_error(self, client: AsyncArk, ark: FakeArk) -> None:
        ark.fail_next(Fault.error_flat(after=2, code="server_error"))
        events, error = await self.events(client)
        assert error is None
        assert (events[-1].type, events[-1].code) == ("error", "server_error")
        assert self.text(events) == "1 2"

    @pytest.mark.parametrize("finish", ["length", "content_filter"])
    async def test_incomplete(self, client: AsyncArk, ark: FakeArk, finish: str) -> None:
        ark.fail_next(FAULTS[finish])
        events, _ = await self.events(client)
        assert events[-1].type == "response.incomplete"
        assert events[-1].response.incomplete_details.reason == finish
        assert self.text(events) == "1 2 3"

    @pytest.mark.parametrize(
        ("fault", "text", "error", "last"),
        [
            (Fault.drop(), "1 2 3", httpx.RemoteProtocolError, "response.output_text.delta"),
            (Fault.end(), "1 2 3", None, "response.output_text.delta"),
            (Fault.no_finish(), COUNTED, None, "response.output_text.delta"),
            (Fault.no_done(), COUNTED, None, "response.completed"),
            (Fault.stream_error(), "1 2 3", ark_errors.ArkAPIError, "response.output_text.delta"),
            (Fault.bad_json(), "1 2 3", json.JSONDecodeError, "response.output_text.delta"),
            (Fault.split_utf8(), COUNTED, None, "response.completed"),
        ],
    )
    async def test_streams_that_go_wrong(
        self, client: AsyncArk, ark: FakeArk, fault: Fault, text: str,
        error: type[Exception] | None, last: str,
    ) -> None:  # fmt: skip
        ark.fail_next(fault)
        events, raised = await self.events(client)
        assert self.text(events) == text
        assert type(raised) is (error or type(None))
        assert events[-1].type == last


@pytest.mark.parametrize("name", list(FAULTS))
async def test_every_named_fault_can_be_had_over_http(
    client: AsyncArk, ark: SteeredArk, name: str
) -> None:
    url = ark.base_url.replace("/api/v3", "/offline/faults")
    async with plain_http() as http:
        answer = await http.post(url, json={"name": name, "seconds": 0.01})
    assert answer.json() == {"pending": 1}
    call = respond if name in ON_RESPONSES else chat
    if FAULTS[name].kind in ("http", "body", "reset"):
        with pytest.raises(ark_errors.ArkAPIError):
            await call(client, stream=True)
    else:
        await hear(await call(client, stream=True))
    assert ark.pending_faults() == []
