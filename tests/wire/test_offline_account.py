"""The account of the fake Ark, its list of models, and what else a test can switch."""

import time

import httpx
import pytest
from volcenginesdkarkruntime import AsyncArk

from tests.fake_ark import FakeArk, Fault, SteeredArk
from tests.wire.arks import MODEL, QUIET, answer_of, chat, respond, user

pytestmark = pytest.mark.anyio


async def test_an_overdue_account_gets_nothing(raw: httpx.AsyncClient, ark: FakeArk) -> None:
    ark.standing = "overdue"
    body = {"model": "ep-x", "messages": [user("hi")]}
    for path in ("/chat/completions", "/context/create"):
        answer = await raw.post(path, json=body)
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "AccountOverdueError"
    assert (await respond(raw, "hi"))["error"]["type"] == "Forbidden"
    ark.standing = "good"
    assert answer_of(await respond(raw, "echo: x")) == "x"


async def test_the_first_calls_of_a_burst_are_too_fast(
    raw: httpx.AsyncClient, ark: FakeArk
) -> None:
    ark.burst = 2
    told = [await chat(raw, user("echo: x")), await respond(raw, "echo: x")]
    for one in told:
        assert one["error"]["code"] == "RequestBurstTooFast"
        assert one["error"]["type"] == "TooManyRequests"
    assert answer_of(await respond(raw, "echo: x")) == "x"
    assert ark.burst == 0


async def test_the_first_byte_may_be_slow(raw: httpx.AsyncClient, ark: FakeArk) -> None:
    ark.first_byte_seconds = 0.2
    began = time.monotonic()
    async with raw.stream(
        "POST", "/responses", json={"model": MODEL, "input": "x", "stream": True}
    ) as answer:
        assert answer.status_code == 200
        assert time.monotonic() - began >= 0.2


async def test_chat_ignores_unknown_keys_unless_it_is_strict(
    raw: httpx.AsyncClient, ark: FakeArk
) -> None:
    assert answer_of(await chat(raw, user("echo: x"), colour="red")) == "x"
    ark.strict_chat = True
    error = (await chat(raw, user("echo: x"), colour="red"))["error"]
    assert error["message"].startswith('json: unknown field "colour"')
    options = {"include_usage": True}
    told = await chat(raw, user("echo: x"), thinking=QUIET, stream_options=options, max_tokens=9)
    assert answer_of(told) == "x"


async def test_an_unknown_event_does_not_end_the_stream(client: AsyncArk, ark: FakeArk) -> None:
    ark.fail_next(Fault.unknown_event(after=2))
    stream = await client.responses.create(
        model=MODEL, input="count 5", thinking=QUIET, stream=True
    )
    events = [event async for event in stream]
    types = [event.type for event in events]
    at = types.index("response.reasoning_raw_text.delta")
    assert types[at - 1] == types[at + 1] == "response.output_text.delta"
    assert types[-1] == "response.completed"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == "1 2 3 4 5"


async def test_the_list_of_models(raw: httpx.AsyncClient) -> None:
    answer = await raw.get("/models", params={"page_num": 1, "page_size": 10})
    listed = {entry["id"]: entry for entry in answer.json()["data"]}
    assert list(listed[MODEL]) == [
        "id", "name", "version", "created", "object", "domain", "task_type", "modalities",
        "token_limits", "features",
    ]  # fmt: skip
    assert listed[MODEL]["token_limits"]["context_window"] == 1_048_576
    assert listed[MODEL]["features"]["tools"] == {"function_calling": True}
    assert "image" in listed[MODEL]["modalities"]["input_modalities"]
    assert listed["glm-5-2-260617"]["modalities"]["input_modalities"] == ["text"]
    assert {entry["status"] for entry in listed.values() if "status" in entry} == {
        "Retiring", "Shutdown",
    }  # fmt: skip
    assert [id for id, entry in listed.items() if "token_limits" not in entry] == [
        "glm-5-3-flash-260828"
    ]
    assert not [id for id in listed if id.startswith("ep-")]


@pytest.mark.parametrize(
    ("model", "served"),
    [
        ("ep-offline-responses", ["/responses"]),
        ("ep-offline-chat", ["/chat/completions"]),
        ("ep-offline-context", ["/context/create"]),
        ("ep-any-other", ["/responses", "/chat/completions", "/context/create"]),
    ],
)
async def test_the_demo_has_a_model_for_each_api(
    raw: httpx.AsyncClient, model: str, served: list[str]
) -> None:
    bodies = {
        "/responses": {"input": "echo: x"},
        "/chat/completions": {"messages": [user("echo: x")]},
        "/context/create": {"messages": [user("echo: x")]},
    }
    for path, body in bodies.items():
        answer = await raw.post(path, json={"model": model, **body})
        if path in served:
            assert answer.status_code == 200
        else:
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")


async def test_switches_can_be_set_over_http() -> None:
    with SteeredArk(pace=0) as ark:
        url = ark.base_url.replace("/api/v3", "/offline/switches")
        async with httpx.AsyncClient(verify=False, trust_env=False) as http:
            told = await http.post(url, json={"search_plugin": "closed", "burst": 2})
            assert told.json()["search_plugin"] == ark.search_plugin == "closed"
            assert ark.burst == 2
            for wrong in ({"search_plugin": "ajar"}, {"burst": "2"}, {"pace": 1.0}):
                given = {"caches": False, **wrong}
                assert (await http.post(url, json=given)).status_code == 400
            assert ark.caches
