"""The local Ark held to what Ark documents, through the real SDK over real HTTP.

Page numbers are those of volcengine.com/docs/82379. Streams that go wrong are in
`test_offline_faults.py`.
"""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from volcenginesdkarkruntime import AsyncArk
from volcenginesdkarkruntime._exceptions import (
    ArkAPIConnectionError,
    ArkAPIStatusError,
    ArkBadRequestError,
    ArkNotFoundError,
    ArkPermissionDeniedError,
)

from chatbot.ark.offline import OfflineArk, count_messages, count_tokens
from chatbot.ark.offline.script import pieces, reply_to
from chatbot.ark.offline.showcase import TEXTS, THINK, THOUGHT
from tests.fake_ark import FakeArk, SteeredArk

pytestmark = pytest.mark.anyio

ENDPOINT = "ep-20250410-demo"
MODEL = "doubao-seed-1-6-251015"
SYSTEM = {"role": "system", "content": "Be brief."}
ROOT = Path(__file__).parents[2]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def ark() -> Iterator[FakeArk]:
    with FakeArk(pace=0) as ark:
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


@pytest.fixture
async def raw(ark: FakeArk) -> AsyncIterator[httpx.AsyncClient]:
    """Plain HTTP, to see the bytes."""
    headers = {"Authorization": "Bearer a-key"}
    async with plain_http(base_url=ark.base_url, headers=headers) as raw:
        yield raw


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


async def new_context(client: AsyncArk, *messages: dict[str, str], **options: Any) -> str:
    created = await client.context.create(
        model=ENDPOINT, messages=list(messages) or [SYSTEM], **options
    )
    return str(created.id)


async def say(client: AsyncArk, context_id: str, text: str, **options: Any) -> Any:
    return await client.context.completions.create(
        model=ENDPOINT, context_id=context_id, messages=[user(text)], **options
    )


async def ask(client: AsyncArk, context_id: str, text: str, **options: Any) -> str:
    completion = await say(client, context_id, text, **options)
    return str(completion.choices[0].message.content)


async def read(stream: Any) -> tuple[str, str | None]:
    """All the text of a chat stream and its finish reason."""
    text, finish = "", None
    async for chunk in stream:
        for choice in chunk.choices or []:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
    return text, finish


def output_text(response: Any) -> str:
    messages = [item for item in response.output if item.type == "message"]
    return "".join(part.text for item in messages for part in item.content)


def events_of(body: str) -> list[Any]:
    payloads = [line[6:] for line in body.split("\n") if line.startswith("data: ")]
    assert payloads[-1] == "[DONE]"
    return [json.loads(payload) for payload in payloads[:-1]]


async def eventually(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        await asyncio.sleep(0.005)


@asynccontextmanager
async def running_alone(module: str) -> AsyncIterator[str]:
    """An Ark as a process of its own, which must end in peace; gives its address."""
    process = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-X", "dev", "-m", module, "--pace", "0"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield (await asyncio.to_thread(process.stdout.readline)).strip()
        process.send_signal(signal.SIGTERM)
        _, errors = await asyncio.to_thread(process.communicate, timeout=5)
        assert (process.returncode, errors) == (0, "")
    finally:
        process.kill()
        process.wait()


class TestContextCreate:
    async def test_answers_in_the_documented_shape(self, raw: httpx.AsyncClient) -> None:
        body = {"model": ENDPOINT, "messages": [SYSTEM], "ttl": 7200, "mode": "session"}
        created = (await raw.post("/context/create", json=body)).json()
        assert re.fullmatch(r"ctx-\d{14}-[a-z0-9]{5}", created.pop("id"))
        tokens = count_messages([SYSTEM])
        assert created == {
            "model": ENDPOINT,
            "mode": "session",
            "ttl": 7200,
            "truncation_strategy": {"type": "rolling_tokens", "rolling_tokens": True},
            "usage": {
                "prompt_tokens": tokens,
                "completion_tokens": 0,
                "total_tokens": tokens,
                "prompt_tokens_details": {"cached_tokens": 0},
            },
        }

    async def test_common_prefix_has_no_truncation(self, raw: httpx.AsyncClient) -> None:
        body = {"model": ENDPOINT, "messages": [SYSTEM], "mode": "common_prefix"}
        assert "truncation_strategy" not in (await raw.post("/context/create", json=body)).json()

    async def test_nulls_mean_absent(self, raw: httpx.AsyncClient) -> None:
        body = {
            "model": ENDPOINT,
            "messages": [SYSTEM],
            "mode": None,
            "ttl": None,
            "truncation_strategy": None,
        }
        created = (await raw.post("/context/create", json=body)).json()
        assert (created["mode"], created["ttl"]) == ("session", 86_400)

    @pytest.mark.parametrize(
        ("change", "status", "code"),
        [
            ({"model": None}, 400, "MissingParameter"),
            ({"model": MODEL}, 404, "InvalidEndpointOrModel.ModelIDAccessDisabled"),
            ({"model": "ep-missing"}, 404, "InvalidEndpointOrModel.NotFound"),
            ({"messages": None}, 400, "MissingParameter"),
            ({"messages": []}, 400, "InvalidParameter"),
            ({"messages": [{"role": "tool", "content": "x"}]}, 400,
             "InvalidArgumentError.UnknownRole"),
            ({"messages": [{"role": "user"}]}, 400, "MissingParameter"),
            ({"messages": [user("a"), assistant("b")]}, 400, "InvalidParameter"),
            ({"mode": "forever"}, 400, "InvalidParameter"),
            ({"ttl": 3599}, 400, "InvalidParameter"),
            ({"ttl": 604_801}, 400, "InvalidParameter"),
            ({"ttl": "3600"}, 400, "InvalidParameter"),
            ({"truncation_strategy": {"type": "none"}}, 400, "InvalidParameter"),
            ({"truncation_strategy": {"type": "last_history_tokens",
              "last_history_tokens": 32_768}}, 400, "InvalidParameter"),
            ({"truncation_strategy": {"type": "rolling_tokens", "max_window_tokens": 100,
              "rolling_window_tokens": 100}}, 400, "InvalidParameter"),
            ({"mode": "common_prefix", "truncation_strategy": {"type": "rolling_tokens"}}, 400,
             "InvalidParameter"),
        ],
    )  # fmt: skip
    async def test_refuses(
        self, raw: httpx.AsyncClient, ark: FakeArk, change: dict, status: int, code: str
    ) -> None:
        body = {"model": ENDPOINT, "messages": [SYSTEM], **change}
        answer = await raw.post("/context/create", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert ark.contexts == {}

    @pytest.mark.parametrize(
        ("shape", "error", "code"),
        [
            ("not_found", ArkNotFoundError, "UnsupportedModel"),
            ("bad_request", ArkBadRequestError, "InvalidParameter"),
        ],
    )
    async def test_a_model_may_lack_the_api(
        self, client: AsyncArk, ark: FakeArk, shape: Any, error: type, code: str
    ) -> None:
        ark.models_without_context.add(ENDPOINT)
        ark.models_without_responses.add(MODEL)
        ark.unsupported_shape = shape
        with pytest.raises(error) as no_context:
            await new_context(client)
        with pytest.raises(error) as no_responses:
            await client.responses.create(model=MODEL, input="hi")
        assert no_context.value.code == no_responses.value.code == code


class TestContextChat:
    async def test_streams_byte_for_byte(self, client: AsyncArk, raw: httpx.AsyncClient) -> None:
        """The chunks of [D 1529329], in its order of keys."""
        body = {
            "model": ENDPOINT,
            "context_id": await new_context(client),
            "messages": [user("echo: 你 <b>")],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        answer = await raw.post("/context/chat/completions", json=body)
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["transfer-encoding"] == "chunked"
        assert "content-encoding" not in answer.headers
        request_id = answer.headers["x-request-id"]
        created = events_of(answer.text)[0]["created"]
        start = 'data: {"choices":[{"delta":{"content":"%s","role":"assistant"},'
        frame = (
            f'],"created":{created},"id":"{request_id}","model":"doubao-1-5-pro-32k-250115",'
            '"service_tier":"default","object":"chat.completion.chunk","usage":'
        )
        open_ = f'"index":0}}{frame}null}}\n\n'
        prompt = count_messages([SYSTEM, user("echo: 你 <b>")])
        done = count_tokens("你 <b>")
        assert answer.text == (
            f"{start % '你'}{open_}"
            f"{start % ' <b>'}{open_}"
            f'{start % ""}"finish_reason":"stop",{open_}'
            f'data: {{"choices":[{frame}{{"prompt_tokens":{prompt},"completion_tokens":{done},'
            f'"total_tokens":{prompt + done},'
            f'"prompt_tokens_details":{{"cached_tokens":{count_messages([SYSTEM])}}},'
            '"completion_tokens_details":{"reasoning_tokens":0}}}\n\n'
            "data: [DONE]\n\n"
        )

    async def test_answers_in_one_piece(self, client: AsyncArk, raw: httpx.AsyncClient) -> None:
        body = {
            "model": ENDPOINT,
            "context_id": await new_context(client),
            "messages": [user("echo: hello")],
        }
        answer = (await raw.post("/context/chat/completions", json=body)).json()
        assert re.fullmatch(r"021\d{12}[0-9a-f]{38}", answer.pop("id"))
        assert isinstance(answer.pop("created"), int)
        assert answer.pop("usage")["completion_tokens"] == count_tokens("hello")
        assert answer == {
            "object": "chat.completion",
            "model": "doubao-1-5-pro-32k-250115",
            "service_tier": "default",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": "hello"},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
        }

    async def test_usage_comes_only_when_asked_for(self, client: AsyncArk) -> None:
        context = await new_context(client)
        plain = [chunk async for chunk in await say(client, context, "count 3", stream=True)]
        assert all(chunk.usage is None and chunk.choices for chunk in plain)
        options = {"include_usage": True}
        asked = [
            chunk
            async for chunk in await say(
                client, context, "count 3", stream=True, stream_options=options
            )
        ]
        assert [chunk.usage is None for chunk in asked] == [True] * 4 + [False]
        assert asked[-1].choices == []

    async def test_usage_can_run_along(self, client: AsyncArk) -> None:
        context = await new_context(client)
        options = {"chunk_include_usage": True}
        stream = await say(client, context, "count 3", stream=True, stream_options=options)
        spent = [chunk.usage.completion_tokens async for chunk in stream if chunk.usage]
        assert spent == [count_tokens(text) for text in ("1", "1 2", "1 2 3", "1 2 3")]

    async def test_sends_only_the_new_turn_and_remembers_the_rest(
        self, client: AsyncArk, ark: FakeArk
    ) -> None:
        context = await new_context(client)
        await ask(client, context, "echo: one")
        assert await read(await say(client, context, "echo: two", stream=True)) == ("two", "stop")
        assert json.loads(await ask(client, context, "recall")) == [
            ["system", "Be brief."],
            ["user", "echo: one"],
            ["assistant", "one"],
            ["user", "echo: two"],
            ["assistant", "two"],
        ]
        assert [m["content"] for m in ark.contexts[context].messages[-2:-1]] == ["recall"]

    async def test_takes_a_reply_along_with_the_next_message(self, client: AsyncArk) -> None:
        context = await new_context(client, user("hello"))
        completion = await client.context.completions.create(
            model=ENDPOINT, context_id=context, messages=[assistant("hi"), user("recall")]
        )
        recalled = json.loads(completion.choices[0].message.content)
        assert recalled == [["user", "hello"], ["assistant", "hi"]]

    async def test_cached_tokens_are_those_already_in_the_context(self, client: AsyncArk) -> None:
        context = await new_context(client)
        first = (await say(client, context, "echo: 一二三")).usage
        second = (await say(client, context, "echo: four")).usage
        assert first.prompt_tokens_details.cached_tokens == count_messages([SYSTEM])
        assert second.prompt_tokens_details.cached_tokens == count_messages(
            [SYSTEM, user("echo: 一二三"), assistant("一二三")]
        )
        assert second.prompt_tokens > second.prompt_tokens_details.cached_tokens

    async def test_a_common_prefix_is_never_added_to(self, client: AsyncArk, ark: FakeArk) -> None:
        context = await new_context(client, mode="common_prefix")
        await ask(client, context, "echo: one")
        assert ark.contexts[context].messages == [SYSTEM]

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"model": None}, "MissingParameter"),
            ({"context_id": None}, "MissingParameter"),
            ({"messages": [assistant("no prefill")]}, "InvalidParameter"),
            ({"messages": [{"role": "developer", "content": "x"}]},
             "InvalidArgumentError.UnknownRole"),
            ({"max_tokens": 0}, "InvalidParameter"),
            ({"max_tokens": "9"}, "InvalidParameter"),
            ({"temperature": 2.1}, "InvalidParameter"),
            ({"stop": ["a", "b", "c", "d", "e"]}, "InvalidParameter"),
            ({"stream": "yes"}, "InvalidParameter"),
            ({"stream": True, "stream_options": 1}, "InvalidParameter"),
            ({"tools": []}, "InvalidParameter"),
            ({"thinking": {"type": "enabled"}}, "InvalidParameter"),
            ({"model": "ep-another"}, "InvalidParameter"),
        ],
    )  # fmt: skip
    async def test_refuses(
        self, client: AsyncArk, raw: httpx.AsyncClient, ark: FakeArk, change: dict, code: str
    ) -> None:
        context = await new_context(client)
        body = {"model": ENDPOINT, "context_id": context, "messages": [user("hi")], **change}
        answer = await raw.post("/context/chat/completions", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
        assert ark.contexts[context].messages == [SYSTEM]
        assert not ark.contexts[context].busy

    async def test_stops_at_max_tokens(self, client: AsyncArk) -> None:
        context = await new_context(client)
        completion = await say(client, context, "long", max_tokens=20)
        assert completion.choices[0].finish_reason == "length"
        assert 18 <= completion.usage.completion_tokens <= 20
        text, finish = await read(await say(client, context, "长", max_tokens=20, stream=True))
        assert (count_tokens(text), finish) == (20, "length")

    async def test_stops_at_a_stop_word(self, client: AsyncArk) -> None:
        context = await new_context(client)
        assert await ask(client, context, "count 9", stop=["5", "7"]) == "1 2 3 4 "


class TestTruncation:
    async def test_last_history_tokens_drops_the_oldest_but_never_the_first(
        self, client: AsyncArk
    ) -> None:
        strategy = {"type": "last_history_tokens", "last_history_tokens": 30}
        context = await new_context(client, truncation_strategy=strategy)
        for word in ("one", "two", "three"):
            usage = (await say(client, context, f"echo: {word}")).usage
        assert usage.prompt_tokens_details.cached_tokens > 0
        recalled = json.loads(await ask(client, context, "recall"))
        assert recalled[0] == ["system", "Be brief."]
        assert recalled[-1] == ["assistant", "three"]
        assert ["user", "echo: one"] not in recalled

    async def test_rolling_tokens_recomputes_after_a_drop(
        self, client: AsyncArk, ark: FakeArk
    ) -> None:
        strategy = {
            "type": "rolling_tokens",
            "rolling_tokens": True,
            "max_window_tokens": 100,
            "rolling_window_tokens": 30,
        }
        context = await new_context(client, truncation_strategy=strategy)
        usages = [(await say(client, context, f"echo: number {n}")).usage for n in range(8)]
        cached = [usage.prompt_tokens_details.cached_tokens for usage in usages]
        assert cached[0] > 0
        assert 0 in cached
        assert cached[cached.index(0) + 1] > 0
        assert max(usage.prompt_tokens for usage in usages) <= 100
        assert ark.contexts[context].messages[0] == SYSTEM

    async def test_without_rolling_the_answer_ends(self, client: AsyncArk) -> None:
        strategy = {"type": "rolling_tokens", "rolling_tokens": False, "max_window_tokens": 60,
                    "rolling_window_tokens": 10}  # fmt: skip
        context = await new_context(client, truncation_strategy=strategy)
        completion = await say(client, context, "long")
        assert completion.choices[0].finish_reason == "length"
        assert completion.usage.total_tokens <= 60


class TestContextLife:
    async def test_each_use_starts_the_ttl_again(self, client: AsyncArk, ark: FakeArk) -> None:
        context = await new_context(client, ttl=3600)
        for _ in range(3):
            ark.clock.advance(3590)
            await ask(client, context, "echo: still here")
        ark.clock.advance(3601)
        with pytest.raises(ArkNotFoundError):
            await ask(client, context, "echo: gone")
        assert context not in ark.contexts

    @pytest.mark.parametrize("how", ["expired", "forgotten", "unknown"])
    @pytest.mark.parametrize(
        ("shape", "status", "code", "param"),
        [
            ("not_found", 404, "NotFound.context_id", "context_id"),
            ("previous_response", 400, "InvalidParameter.PreviousResponseNotFound",
             "previous_response_id"),
            ("previous_response_param", 400, "InvalidParameter", "previous_response_id"),
        ],
    )  # fmt: skip
    async def test_a_lost_context_has_three_shapes(
        self, client: AsyncArk, ark: FakeArk, how: str, shape: Any, status: int, code: str,
        param: str,
    ) -> None:  # fmt: skip
        ark.lost_shape = shape
        context = await new_context(client)
        if how == "expired":
            ark.clock.advance(86_401)
        elif how == "forgotten":
            ark.forget(context)
        else:
            context = "ctx-20200101000000-abcde"
        with pytest.raises(ArkAPIStatusError) as lost:
            await ask(client, context, "hi", stream=True)
        error = lost.value
        assert (error.status_code, error.code, error.param) == (status, code, param)
        assert context in error.body["message"]

    async def test_a_session_is_used_by_one_at_a_time(self, client: AsyncArk, ark: FakeArk) -> None:
        ark.pace = 0.01
        context, other = await new_context(client), await new_context(client)
        stream = await say(client, context, "long", stream=True)
        await stream.__anext__()
        assert ark.contexts[context].busy
        with pytest.raises(ArkPermissionDeniedError) as denied:
            await ask(client, context, "echo: me too")
        assert denied.value.code == "OperationDenied.InvalidState"
        assert denied.value.body["message"].startswith(
            "The specified context is in invalid state: InProgress."
        )
        assert await ask(client, other, "echo: elsewhere") == "elsewhere"
        await stream.close()
        await eventually(lambda: not ark.contexts[context].busy)
        assert await ask(client, context, "echo: my turn") == "my turn"

    async def test_a_prefix_is_used_by_many(self, client: AsyncArk, ark: FakeArk) -> None:
        ark.pace = 0.01
        context = await new_context(client, mode="common_prefix")
        stream = await say(client, context, "long", stream=True)
        await stream.__anext__()
        assert await ask(client, context, "echo: me too") == "me too"
        await stream.close()

    async def test_the_next_turn_may_follow_at_once(self, client: AsyncArk) -> None:
        context = await new_context(client)
        for number in range(20):
            stream = await say(client, context, f"echo: {number}", stream=True)
            async for chunk in stream:
                if chunk.choices[0].finish_reason:
                    break
            assert await ask(client, context, "echo: next") == "next"
            await stream.close()

    @pytest.mark.parametrize("keeps", [True, False])
    async def test_a_client_that_leaves_is_noticed(
        self, client: AsyncArk, ark: FakeArk, keeps: bool
    ) -> None:
        ark.pace = 0.005
        ark.keeps_partial = keeps
        context = await new_context(client)
        stream = await say(client, context, "count 2000", stream=True)
        seen = ""
        async for chunk in stream:
            seen += chunk.choices[0].delta.content
            if seen.endswith(" 5"):
                break
        await stream.close()
        request = ark.requests[-1]
        await eventually(lambda: request.disconnected and not ark.contexts[context].busy)
        assert not request.finished
        kept = ark.contexts[context].messages[1:]
        if keeps:
            assert kept[0] == user("count 2000")
            assert kept[1]["content"].startswith(seen)
            assert len(kept[1]["content"]) < 2000
        else:
            assert kept == []

    async def test_a_context_may_stay_busy_after_the_client_left(
        self, client: AsyncArk, ark: FakeArk
    ) -> None:
        ark.pace = 0.005
        ark.linger = 0.3
        context = await new_context(client)
        stream = await say(client, context, "long", stream=True)
        await stream.__anext__()
        await stream.close()
        with pytest.raises(ArkPermissionDeniedError):
            await ask(client, context, "echo: too early")
        await eventually(lambda: not ark.contexts[context].busy)
        assert await ask(client, context, "echo: now") == "now"


class TestChat:
    async def test_thoughts_come_before_the_text(self, client: AsyncArk) -> None:
        stream = await client.chat.completions.create(
            model=MODEL, messages=[user("think")], stream=True
        )
        deltas = [chunk.choices[0].delta async for chunk in stream]
        thoughts = [delta.reasoning_content or "" for delta in deltas]
        texts = [delta.content or "" for delta in deltas]
        assert "".join(thoughts) == THOUGHT["en"]
        assert "".join(texts) == THINK["en"]
        last_thought = max(n for n, thought in enumerate(thoughts) if thought)
        assert last_thought < min(n for n, text in enumerate(texts) if text)

    @pytest.mark.parametrize(
        ("asked", "options", "thinks"),
        [
            ("思考", {}, True),
            ("思考", {"thinking": {"type": "disabled"}}, False),
            ("思考", {"reasoning_effort": "minimal"}, False),
            ("echo: x", {}, False),
            ("echo: x", {"thinking": {"type": "auto"}}, False),
            ("echo: x", {"thinking": {"type": "enabled"}}, True),
        ],
    )
    async def test_thinking_can_be_switched(
        self, client: AsyncArk, asked: str, options: dict, thinks: bool
    ) -> None:
        completion = await client.chat.completions.create(
            model=MODEL, messages=[user(asked)], **options
        )
        assert bool(completion.choices[0].message.reasoning_content) is thinks
        assert (completion.usage.completion_tokens_details.reasoning_tokens > 0) is thinks

    async def test_max_completion_tokens_counts_thoughts(self, client: AsyncArk) -> None:
        completion = await client.chat.completions.create(
            model=MODEL, messages=[user("think")], max_completion_tokens=90
        )
        assert completion.choices[0].finish_reason == "length"
        assert completion.usage.completion_tokens <= 90
        assert completion.choices[0].message.reasoning_content == THOUGHT["en"]

    @pytest.mark.parametrize(
        "options",
        [
            {"thinking": {"type": "deeply"}},
            {"reasoning_effort": "extreme"},
            {"max_tokens": 5, "max_completion_tokens": 5},
            {"top_p": -1},
        ],
    )
    async def test_refuses(self, client: AsyncArk, options: dict) -> None:
        with pytest.raises(ArkBadRequestError) as refused:
            await client.chat.completions.create(model=MODEL, messages=[user("x")], **options)
        assert refused.value.code == "InvalidParameter"

    async def test_remembers_nothing(self, client: AsyncArk) -> None:
        history = [SYSTEM, user("hello"), assistant("hi"), user("recall")]
        completion = await client.chat.completions.create(model=MODEL, messages=history)
        recalled = json.loads(completion.choices[0].message.content)
        assert recalled == [[m["role"], m["content"]] for m in history[:-1]]


class TestResponses:
    async def test_events_come_in_order(self, raw: httpx.AsyncClient) -> None:
        """The order of [D 1599499], with thoughts."""
        body = {"model": MODEL, "input": "think", "stream": True}
        answer = await raw.post("/responses", json=body)
        events = events_of(answer.text)
        kinds = [e["type"] for e in events]
        runs = [kind for n, kind in enumerate(kinds) if n == 0 or kinds[n - 1] != kind]
        assert runs == [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.reasoning_summary_part.added",
            "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.done",
            "response.reasoning_summary_part.done",
            "response.output_item.done",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
        assert [e["sequence_number"] for e in events] == list(range(len(events)))
        named = [line[7:] for line in answer.text.split("\n") if line.startswith("event: ")]
        assert named == kinds
        assert not re.search(r"^id:", answer.text, re.MULTILINE)
        created = events[0]["response"]
        assert not {"output", "status", "usage"} & created.keys()
        assert created["expire_at"] == created["created_at"] + 259_200
        by_kind = {e["type"]: e for e in events}
        first_delta = next(e for e in events if e["type"] == "response.output_text.delta")
        assert list(first_delta) == [
            "type", "content_index", "delta", "item_id", "output_index", "sequence_number",
        ]  # fmt: skip
        assert first_delta["output_index"] == 1
        assert by_kind["response.output_text.done"]["text"] == THINK["en"]
        done = by_kind["response.completed"]["response"]
        assert done["status"] == "completed"
        assert [item["type"] for item in done["output"]] == ["reasoning", "message"]
        assert done["output"][1]["id"] == first_delta["item_id"]
        assert done["output"][0]["summary"] == [{"type": "summary_text", "text": THOUGHT["en"]}]

    async def test_events_have_the_form_seen_on_the_wire(self, raw: httpx.AsyncClient) -> None:
        body = {"model": MODEL, "input": "think", "stream": True}
        answer = await raw.post("/responses", json=body)
        events = events_of(answer.text)
        assert answer.text.endswith("\n\ndata: [DONE]\n\n")
        for event in events[:2]:
            assert list(event["response"]) == [
                "created_at", "id", "max_output_tokens", "model", "object", "service_tier",
                "caching", "store", "expire_at",
            ]  # fmt: skip
        created, done = events[0]["response"], events[-1]["response"]
        assert created["max_output_tokens"] == 32_768
        assert list(done) == [
            "created_at", "id", "max_output_tokens", "model", "object", "output",
            "service_tier", "status", "usage", "caching", "store", "expire_at",
        ]  # fmt: skip
        assert all(list(event)[-1] == "sequence_number" for event in events)
        opened = [e["item"] for e in events if e["type"] == "response.output_item.added"]
        assert [list(item) for item in opened] == [
            ["id", "type", "status"], ["type", "role", "status", "id"],
        ]  # fmt: skip
        parts = [e["part"] for e in events if e["type"].endswith("part.added")]
        assert parts == [{"type": "summary_text"}, {"type": "output_text"}]
        ids = [done["id"], *(item["id"] for item in done["output"])]
        assert [id.partition("_")[0] for id in ids] == ["resp", "rs", "msg"]
        assert all(re.fullmatch(r"02\d{13}[0-9a-f]{38}", id.partition("_")[2]) for id in ids)

    @pytest.mark.parametrize("shown", [True, False])
    async def test_a_limit_within_the_thoughts_leaves_no_message(
        self, client: AsyncArk, ark: FakeArk, shown: bool
    ) -> None:
        ark.shows_cut_thoughts = shown
        stream = await client.responses.create(
            model="glm-5-3-flash-260828", input="think", max_output_tokens=5, stream=True
        )
        events = [e async for e in stream]
        assert events[-1].type == "response.incomplete"
        assert events[-1].response.incomplete_details.reason == "length"
        types = [item.type for item in events[-1].response.output]
        assert types == (["reasoning"] if shown else [])
        assert events[-1].response.usage.output_tokens_details.reasoning_tokens == 5
        assert not any(e.type.startswith("response.output_text") for e in events)

    async def test_long_histories_are_cached_by_themselves(self, client: AsyncArk) -> None:
        one = await client.responses.create(model=MODEL, input="echo: " + "long " * 1_000)
        two = await client.responses.create(
            model=MODEL, input="echo: two", previous_response_id=one.id
        )
        hit = two.usage.input_tokens_details.cached_tokens
        assert 1_024 <= hit <= two.usage.input_tokens
        assert hit % 128 == 0

    @pytest.mark.parametrize(
        ("model", "options", "status", "code"),
        [
            ("doubao-seed-1-6-250615", {}, 404, "InvalidEndpointOrModel.NotFound"),
            ("doubao-1-5-pro-32k-250115", {}, 400, "InvalidParameter"),
            ("glm-5-3-flash-260828", {"thinking": {"type": "disabled"}}, 400, "InvalidParameter"),
            ("glm-5-2-260617", {"input": [{"role": "user", "content": [
                {"type": "input_image", "image_url": "data:image/png;base64,"}]}]},
             400, "InvalidParameter"),
        ],
    )  # fmt: skip
    async def test_models_differ_in_what_they_refuse(
        self, raw: httpx.AsyncClient, model: str, options: dict, status: int, code: str
    ) -> None:
        answer = await raw.post("/responses", json={"model": model, "input": "x", **options})
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)

    async def test_the_sdk_reads_the_same_text_either_way(self, client: AsyncArk) -> None:
        whole = await client.responses.create(model=MODEL, input="代码")
        stream = await client.responses.create(model=MODEL, input="代码", stream=True)
        deltas = [e.delta async for e in stream if e.type == "response.output_text.delta"]
        assert len(deltas) > 20
        assert "".join(deltas) == output_text(whole) == TEXTS["code"]["zh"]
        assert whole.usage.output_tokens == count_tokens(TEXTS["code"]["zh"])

    async def test_a_round_continues_another(self, client: AsyncArk) -> None:
        one = await client.responses.create(model=MODEL, input="echo: one")
        two = await client.responses.create(
            model=MODEL, input="echo: two", previous_response_id=one.id
        )
        branch = await client.responses.create(
            model=MODEL, input="recall", previous_response_id=one.id
        )
        both = await client.responses.create(
            model=MODEL,
            input=[{"role": "user", "content": [{"type": "input_text", "text": "recall"}]}],
            previous_response_id=two.id,
        )
        turn = [["user", "echo: one"], ["assistant", "one"]]
        assert json.loads(output_text(branch)) == turn
        assert json.loads(output_text(both)) == [*turn, ["user", "echo: two"], ["assistant", "two"]]
        assert both.usage.input_tokens > branch.usage.input_tokens
        assert both.previous_response_id == two.id

    async def test_instructions_are_not_inherited(self, client: AsyncArk) -> None:
        one = await client.responses.create(
            model=MODEL, input="recall", instructions="Speak like a pirate."
        )
        assert json.loads(output_text(one)) == [["system", "Speak like a pirate."]]
        two = await client.responses.create(
            model=MODEL, input="recall", previous_response_id=one.id
        )
        assert [role for role, _ in json.loads(output_text(two))] == ["user", "assistant"]

    async def test_expiry_is_absolute(self, client: AsyncArk, ark: FakeArk) -> None:
        at = int(ark.clock.now()) + 1000
        one = await client.responses.create(model=MODEL, input="echo: one", expire_at=at)
        assert one.expire_at == at
        ark.clock.advance(900)
        await client.responses.create(model=MODEL, input="hi", previous_response_id=one.id)
        ark.clock.advance(101)
        with pytest.raises(ArkBadRequestError) as lost:
            await client.responses.create(model=MODEL, input="hi", previous_response_id=one.id)
        assert lost.value.code == "InvalidParameter.PreviousResponseNotFound"
        assert lost.value.param == "previous_response_id"
        assert lost.value.body["message"].startswith(
            f"Previous response with id {one.id} not found. Request id: 02"
        )

    @pytest.mark.parametrize("seconds", [0, 604_801 + 5])
    async def test_refuses_an_expiry_out_of_range(
        self, client: AsyncArk, ark: FakeArk, seconds: int
    ) -> None:
        with pytest.raises(ArkBadRequestError):
            await client.responses.create(
                model=MODEL, input="hi", expire_at=int(ark.clock.now()) + seconds
            )

    async def test_what_is_not_stored_cannot_be_continued(
        self, client: AsyncArk, ark: FakeArk
    ) -> None:
        one = await client.responses.create(model=MODEL, input="echo: one", store=False)
        assert ark.responses == {}
        with pytest.raises(ArkBadRequestError) as lost:
            await client.responses.create(model=MODEL, input="hi", previous_response_id=one.id)
        assert lost.value.code == "InvalidParameter.PreviousResponseNotFound"

    async def test_a_round_that_was_cut_off_is_not_stored(
        self, client: AsyncArk, ark: FakeArk
    ) -> None:
        ark.pace = 0.005
        stream = await client.responses.create(model=MODEL, input="long", stream=True)
        await stream.__anext__()
        await stream.close()
        await eventually(lambda: ark.requests[-1].disconnected)
        assert ark.responses == {}

    async def test_cached_tokens_need_caching_on_both_rounds(self, client: AsyncArk) -> None:
        caching = {"type": "enabled"}
        one = await client.responses.create(model=MODEL, input="echo: one", caching=caching)
        two = await client.responses.create(
            model=MODEL, input="echo: two", caching=caching, previous_response_id=one.id
        )
        plain = await client.responses.create(
            model=MODEL, input="echo: two", previous_response_id=one.id
        )
        assert one.usage.input_tokens_details.cached_tokens == 0
        kept = count_messages([user("echo: one"), assistant("one")])
        assert two.usage.input_tokens_details.cached_tokens == kept
        assert plain.usage.input_tokens_details.cached_tokens == 0
        late = await client.responses.create(
            model=MODEL, input="echo: three", caching=caching, previous_response_id=plain.id
        )
        assert late.usage.input_tokens_details.cached_tokens == 0

    async def test_a_prefix_is_written_without_an_answer(self, client: AsyncArk) -> None:
        caching = {"type": "enabled", "prefix": True}
        text = "word " * 200
        prefix = await client.responses.create(model=MODEL, input=text, caching=caching)
        assert prefix.output == []
        assert prefix.usage.output_tokens == 0
        after = await client.responses.create(
            model=MODEL, input="recall", previous_response_id=prefix.id
        )
        assert json.loads(output_text(after)) == [["user", text]]

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"instructions": "x"}, "caching is not supported for instructions"),
            ({"store": False}, "store should be true when enable caching"),
            ({"tools": [{"type": "web_search"}]}, "built-in tools"),
            ({"text": {"format": {"type": "json_schema", "name": "x", "schema": {}}}},
             "json_schema"),
        ],
    )  # fmt: skip
    async def test_caching_excludes(self, client: AsyncArk, options: dict, words: str) -> None:
        with pytest.raises(ArkBadRequestError) as refused:
            await client.responses.create(
                model=MODEL, input="x", caching={"type": "enabled"}, **options
            )
        assert refused.value.code == "InvalidParameter"
        assert words in refused.value.body["message"]
        off = await client.responses.create(
            model=MODEL, input="echo: x", caching={"type": "disabled"}, **options
        )
        assert output_text(off) == "x"

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"stream_options": {}}, "stream_options"),
            ({"truncation": "auto"}, "truncation"),
            ({"reasoning": {"summary": "auto"}}, "summary"),
            ({"text": {"verbosity": "low"}}, "verbosity"),
            ({"messages": []}, "messages"),
            ({"caching": {"type": "enabled", "ttl": 5}}, "ttl"),
            ({"thinking": {"kind": "enabled"}}, "kind"),
            ({"text": {"format": {"type": "text", "style": "x"}}}, "style"),
            ({"input": [{"role": "user", "content": "x", "name_tag": "y"}]}, "name_tag"),
            ({"input": [{"role": "user", "content": [{"type": "input_text", "txt": "x"}]}]}, "txt"),
        ],
    )
    async def test_refuses_unknown_fields(
        self, raw: httpx.AsyncClient, body: dict, field: str
    ) -> None:
        answer = await raw.post("/responses", json={"model": MODEL, "input": "x", **body})
        assert answer.status_code == 400
        message = answer.json()["error"]["message"]
        assert message.startswith(f'json: unknown field "{field}"')

    async def test_a_schema_may_name_its_fields_freely(self, client: AsyncArk) -> None:
        schema = {"type": "object", "properties": {"anything": {"type": "string"}}}
        text = {"format": {"type": "json_schema", "name": "x", "schema": schema}}
        assert await client.responses.create(model=MODEL, input="echo: x", text=text)

    async def test_max_output_tokens_makes_it_incomplete(self, client: AsyncArk) -> None:
        stream = await client.responses.create(
            model=MODEL, input="long", max_output_tokens=20, stream=True
        )
        events = [e async for e in stream]
        assert events[-1].type == "response.incomplete"
        response = events[-1].response
        assert response.status == "incomplete"
        assert response.incomplete_details.reason == "length"
        assert response.usage.output_tokens <= 20

    async def test_can_be_read_back_without_its_thoughts(self, client: AsyncArk) -> None:
        made = await client.responses.create(model=MODEL, input="思考")
        assert [item.type for item in made.output] == ["reasoning", "message"]
        read_back = await client.responses.retrieve(made.id)
        assert [item.type for item in read_back.output] == ["message"]
        assert output_text(read_back) == THINK["zh"]

    async def test_lists_its_input(self, client: AsyncArk, raw: httpx.AsyncClient) -> None:
        texts = ["one", "two", "recall"]
        made = await client.responses.create(model=MODEL, input=[user(text) for text in texts])
        path = f"/responses/{made.id}/input_items"
        newest_first = (await raw.get(path)).json()
        assert [i["content"][0]["text"] for i in newest_first["data"]] == texts[::-1]
        page = (await raw.get(path, params={"limit": 2, "order": "asc"})).json()
        assert [i["content"][0]["text"] for i in page["data"]] == texts[:2]
        assert page["has_more"]
        rest = (await raw.get(path, params={"order": "asc", "after": page["last_id"]})).json()
        assert [i["content"][0]["text"] for i in rest["data"]] == texts[2:]
        assert (await raw.get(path, params={"limit": 101})).status_code == 400

    async def test_can_be_deleted(self, client: AsyncArk, raw: httpx.AsyncClient) -> None:
        made = await client.responses.create(model=MODEL, input="hi")
        again = await client.responses.create(model=MODEL, input="hi")
        assert await client.responses.delete(made.id) is None
        answer = (await raw.delete(f"/responses/{again.id}")).json()
        assert answer == {"id": again.id, "object": "response", "deleted": True}
        with pytest.raises(ArkNotFoundError):
            await client.responses.retrieve(made.id)


class TestDoor:
    @pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong-key", "Basic a-key"])
    @pytest.mark.parametrize("path", ["/context/create", "/chat/completions", "/responses"])
    async def test_asks_for_a_key(self, ark: FakeArk, header: str, path: str) -> None:
        headers = {"Authorization": header} if header else {}
        async with plain_http() as raw:
            answer = await raw.post(ark.base_url + path, headers=headers, json={"model": MODEL})
        assert answer.status_code == 401
        error = answer.json()["error"]
        assert (error["code"], error["type"]) == ("AuthenticationError", "Unauthorized")

    async def test_ids_go_both_ways(self, raw: httpx.AsyncClient, ark: FakeArk) -> None:
        headers = {"X-Client-Request-Id": "mine"}
        body = {"model": "missing-model", "messages": [user("x")]}
        answer = await raw.post("/chat/completions", json=body, headers=headers)
        error = answer.json()["error"]
        assert answer.headers["x-client-request-id"] == "mine"
        assert list(error) == ["code", "message", "param", "type"]
        assert error["message"].endswith(f" Request id: {answer.headers['x-request-id']}")
        assert (answer.status_code, error["type"]) == (404, "NotFound")
        assert error["code"] == "InvalidEndpointOrModel.NotFound"
        assert ark.requests[-1].request_id == answer.headers["x-request-id"]

    @pytest.mark.parametrize("content", [b"{", b"[]", b"", b"\xff", b"[" * 100_000])
    async def test_refuses_what_is_not_an_object(
        self, raw: httpx.AsyncClient, content: bytes
    ) -> None:
        answer = await raw.post("/chat/completions", content=content)
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "BadRequest")

    async def test_lists_models(self, raw: httpx.AsyncClient) -> None:
        models = (await raw.get("/models")).json()
        assert models["object"] == "list"
        status = {model["id"]: model.get("status") for model in models["data"]}
        assert status["doubao-seed-2-1-lite-260915"] is None
        assert status["doubao-seed-1-6-250615"] == "Shutdown"

    async def test_requests_are_recorded(self, client: AsyncArk, ark: FakeArk) -> None:
        context = await new_context(client)
        await read(await say(client, context, "hi", stream=True))
        await eventually(lambda: ark.requests[-1].finished)
        created, said = ark.requests
        assert (created.method, created.path) == ("POST", "/api/v3/context/create")
        assert said.body["messages"] == [user("hi")]
        assert said.headers["authorization"] == "Bearer a-key"
        assert (said.status, said.disconnected) == (200, False)


class TestScript:
    @pytest.mark.parametrize(
        ("asked", "answer"),
        [
            ("what did I say first?", "my name is Ada"),
            ("What did I say last?", "今天天气真好"),
            ("我第一句说了什么？", "my name is Ada"),
            ("上一句是什么", "今天天气真好"),
            ("What's my name?", "Ada"),
            ("我叫什么？", "Ada"),
        ],
    )
    async def test_answers_from_the_context(
        self, client: AsyncArk, asked: str, answer: str
    ) -> None:
        context = await new_context(client)
        await ask(client, context, "my name is Ada")
        await ask(client, context, "今天天气真好")
        told = await ask(client, context, asked)
        assert answer in told
        assert bool(re.search("[\u4e00-\u9fff]", asked)) == ("你" in told)

    async def test_a_new_context_remembers_nobody(self, client: AsyncArk) -> None:
        context = await new_context(client)
        assert "not told me" in await ask(client, context, "what is my name?")
        other = await new_context(client)
        assert "这就是第一句" in await ask(client, other, "我第一句说了什么")

    @pytest.mark.parametrize(
        ("asked", "text"),
        [
            ("long", TEXTS["long"]["en"]),
            ("写一篇长文", TEXTS["long"]["zh"]),
            ("Show me some code, please".replace(",", ""), TEXTS["code"]["en"]),
            ("来一段代码吧", TEXTS["code"]["zh"]),
            ("formula", TEXTS["formula"]["en"]),
            ("公式", TEXTS["formula"]["zh"]),
            ("a table", TEXTS["table"]["en"]),
            ("表格。", TEXTS["table"]["zh"]),
            ("emoji", TEXTS["emoji"]["en"]),
            ("RTL", TEXTS["arabic"]["en"]),
            ("echo:  two  spaces \n\tand a tab ", " two  spaces \n\tand a tab "),
            ("echo:", ""),
            ("count 12", "1 2 3 4 5 6 7 8 9 10 11 12"),
        ],
    )
    async def test_streams_its_pieces_exactly(
        self, client: AsyncArk, asked: str, text: str
    ) -> None:
        context = await new_context(client)
        assert await read(await say(client, context, asked, stream=True)) == (text, "stop")

    @pytest.mark.parametrize(("asked", "language"), [("hello", "zh"), ("你好", "en")])
    def test_help_is_honest_and_names_the_settings(self, asked: str, language: str) -> None:
        text = reply_to([user(asked)]).content
        assert "ARK_API_KEY" in text
        assert "ARK_MODEL" in text
        assert ("离线演示" in text) == (language == "en")
        assert ("offline demo" in text) == (language == "zh")

    def test_pieces_are_small_and_keep_indentation(self) -> None:
        code = TEXTS["code"]["zh"] + "x" * 100 + "  \n"
        assert "".join(pieces(code)) == code
        assert max(len(piece.strip()) for piece in pieces(code)) <= 24
        assert "\n        if" in pieces(code)

    async def test_a_lone_surrogate_does_no_harm(self, raw: httpx.AsyncClient) -> None:
        content = b'{"model":"m","messages":[{"role":"user","content":"echo: a\\ud83db"}]}'
        answer = await raw.post("/chat/completions", content=content)
        assert answer.json()["choices"][0]["message"]["content"] == "a?b"


class TestServer:
    async def test_pace_sets_the_time_between_pieces(self, client: AsyncArk, ark: FakeArk) -> None:
        ark.pace = 0.02
        began = time.monotonic()
        stream = await client.chat.completions.create(
            model=MODEL, messages=[user("count 10")], stream=True
        )
        await stream.__anext__()
        first = time.monotonic() - began
        await read(stream)
        assert time.monotonic() - began >= 9 * 0.02
        assert first < time.monotonic() - began - 8 * 0.02

    async def test_stops_at_once_with_streams_open(self, capfd: pytest.CaptureFixture) -> None:
        ark = OfflineArk(pace=0.01).start()
        client = new_client(ark.base_url)
        streams = [
            await client.chat.completions.create(model=MODEL, messages=[user("long")], stream=True)
            for _ in range(5)
        ]
        for stream in streams:
            await stream.__anext__()
        began = time.monotonic()
        await asyncio.to_thread(ark.stop)
        assert time.monotonic() - began < 1
        for stream in streams:
            with pytest.raises(httpx.TransportError):
                await read(stream)
        with pytest.raises(ArkAPIConnectionError):
            await client.chat.completions.create(model=MODEL, messages=[user("hi")])
        ark.stop()
        # The same Ark comes back where it was.
        with ark:
            assert await client.chat.completions.create(model=MODEL, messages=[user("echo: x")])
        await client.close()
        assert capfd.readouterr().err == ""

    async def test_a_taken_port_is_an_error(self, ark: FakeArk) -> None:
        with pytest.raises(OSError, match="in use"):
            OfflineArk(port=ark.port).start()

    async def test_serves_many_at_once(self, client: AsyncArk, ark: FakeArk) -> None:
        contexts = [await new_context(client) for _ in range(15)]

        async def talk(number: int, context: str) -> str:
            await read(await say(client, context, f"my name is N{number}", stream=True))
            return await ask(client, context, "what is my name")

        told = await asyncio.gather(*(talk(n, c) for n, c in enumerate(contexts)))
        assert told == [f"Your name is N{n}." for n in range(15)]

    async def test_runs_alone(self) -> None:
        async with running_alone("chatbot.ark.offline") as base_url, plain_http() as http:
            client = new_client(base_url)
            assert await ask(client, await new_context(client), "echo: fine") == "fine"
            for path in ("faults", "requests"):
                url = base_url.replace("/api/v3", f"/offline/{path}")
                assert (await http.get(url)).status_code == 404
            await client.close()

    async def test_the_fake_one_runs_alone_and_is_steered_over_http(self) -> None:
        async with running_alone("tests.fake_ark") as base_url, plain_http() as http:
            client = new_client(base_url)
            await self.steer(client, http, base_url.replace("/api/v3", "/offline"))
            await client.close()

    async def steer(self, client: AsyncArk, http: httpx.AsyncClient, control: str) -> None:
        context = await new_context(client, ttl=3600)
        fault = {"name": "ServerOverloaded", "message": "Busy.", "path": "context"}
        assert (await http.post(f"{control}/faults", json=fault)).json() == {"pending": 1}
        with pytest.raises(ArkAPIStatusError) as failed:
            await ask(client, context, "hi")
        assert failed.value.status_code == 429
        assert failed.value.body["message"].startswith("Busy. Request id: ")
        assert await ask(client, context, "echo: fine") == "fine"
        (listed,) = (await http.get(f"{control}/contexts")).json()
        assert listed["id"] == context
        assert listed["messages"][-1] == assistant("fine")
        requests = (await http.get(f"{control}/requests")).json()
        assert [r["status"] for r in requests] == [200, 429, 200]
        assert "authorization" not in requests[0]["headers"]
        await http.post(f"{control}/clock", json={"advance": 3601})
        with pytest.raises(ArkNotFoundError):
            await ask(client, context, "hi")
        other = await new_context(client)
        await http.post(f"{control}/forget", json={"ref": other})
        with pytest.raises(ArkNotFoundError):
            await ask(client, other, "hi")
        for state, refused in (("not_opened", True), ("open", False)):
            await http.post(f"{control}/models", json={"name": MODEL, "state": state})
            call = client.responses.create(model=MODEL, input="echo: x")
            if refused:
                with pytest.raises(ArkNotFoundError) as closed:
                    await call
                assert closed.value.code == "ModelNotOpen"
            else:
                assert output_text(await call) == "x"

    @pytest.mark.parametrize(
        ("given", "headers", "status"),
        [
            ({"name": "no such fault"}, {}, 400),
            ({"name": "drop", "colour": "red"}, {}, 400),
            (["drop"], {}, 400),
            ({"name": "drop"}, {"Origin": "https://example.com"}, 403),
            ({"name": "drop"}, {"Host": "example.com"}, 403),
        ],
    )
    async def test_control_refuses(self, given: Any, headers: dict[str, str], status: int) -> None:
        with SteeredArk(pace=0) as ark:
            url = ark.base_url.replace("/api/v3", "/offline/faults")
            async with plain_http() as http:
                assert (await http.post(url, json=given, headers=headers)).status_code == status
            assert ark.pending_faults() == []
