"""Rounds of the local Ark that continue others: what stops a chain, and what caching forbids."""

from typing import Any

import httpx
import pytest

from chatbot.ark.offline.chains import MOST_ITEMS
from tests.fake_ark import FakeArk, Fault
from tests.wire.arks import QUIET, answer_of, respond, user

pytestmark = pytest.mark.anyio

ON = {"type": "enabled"}
LONG = "word " * 200
LOST = "InvalidParameter.PreviousResponseNotFound"


async def chain(raw: httpx.AsyncClient, *texts: str, **options: Any) -> list[Any]:
    """One round for each text, each continuing the one before."""
    rounds: list[Any] = []
    for text in texts:
        before = {"previous_response_id": rounds[-1]["id"]} if rounds else {}
        rounds.append(await respond(raw, text, **before, thinking=QUIET, **options))
    return rounds


async def test_a_chain_has_at_most_1000_items(raw: httpx.AsyncClient) -> None:
    many = [user("a")] * (MOST_ITEMS - 3)
    one = await respond(raw, many, thinking=QUIET)
    # 997 were asked, one was answered: two more fit, a third does not.
    on = {"previous_response_id": one["id"], "thinking": QUIET}
    error = (await respond(raw, [user("b")] * 3, **on))["error"]
    assert (error["code"], error["param"]) == ("InvalidParameter", "previous_response_id")
    assert answer_of(await respond(raw, [user("b"), user("echo: c")], **on)) == "c"


async def test_thoughts_are_items_too(raw: httpx.AsyncClient, ark: FakeArk) -> None:
    one = await respond(raw, "echo: x", thinking=ON)
    two = await respond(raw, "echo: y", thinking=ON, previous_response_id=one["id"])
    assert ark.responses[two["id"]].items == 6


@pytest.mark.parametrize("breaks", [False, True])
async def test_a_deleted_link_may_break_the_chain(
    raw: httpx.AsyncClient, ark: FakeArk, breaks: bool
) -> None:
    ark.deletion_breaks_chains = breaks
    one, two, three = await chain(raw, "echo: 1", "echo: 2", "echo: 3")
    await raw.delete(f"/responses/{one['id']}")
    told = await respond(raw, "echo: 4", previous_response_id=three["id"])
    assert told.get("error", {}).get("code") == (LOST if breaks else None)
    if breaks:
        assert three["id"] in told["error"]["message"]
        assert two["id"] not in told["error"]["message"]
        assert answer_of(await respond(raw, "echo: new")) == "new"


async def test_what_moderation_stopped_cannot_be_continued(
    raw: httpx.AsyncClient, ark: FakeArk
) -> None:
    ark.fail_next(Fault.content_filter())
    one = await respond(raw, "count 9", thinking=QUIET)
    assert one["incomplete_details"] == {"reason": "content_filter"}
    told = await respond(raw, "echo: x", previous_response_id=one["id"])
    assert told["error"]["code"] == LOST
    cut = await respond(raw, "count 9", thinking=QUIET, max_output_tokens=2)
    assert answer_of(await respond(raw, "echo: x", previous_response_id=cut["id"])) == "x"


SCHEMA = {"format": {"type": "json_schema", "name": "x", "schema": {}}}
TOOL = {"type": "function", "name": "f", "parameters": {}}


@pytest.mark.parametrize(
    ("first", "second", "param"),
    [
        ({"instructions": "x"}, {"caching": ON}, "instructions"),
        ({"caching": ON}, {"text": SCHEMA}, "text.format"),
        ({"caching": ON, "tools": [TOOL]}, {"caching": ON, "tools": [TOOL]}, "tools"),
        ({"caching": ON}, {"caching": ON, "thinking": ON}, "thinking"),
        ({"caching": ON}, {"caching": {**ON, "prefix": True}}, "caching.prefix"),
        ({"caching": ON}, {"caching": ON}, None),
        ({"caching": ON}, {"text": {"format": {"type": "json_object"}}}, None),
        ({}, {"thinking": ON, "tools": [TOOL]}, None),
    ],
)
async def test_what_goes_with_caching_in_a_chain(
    raw: httpx.AsyncClient, first: dict, second: dict, param: str | None
) -> None:
    one = await respond(raw, LONG, **first)
    told = await respond(raw, LONG, previous_response_id=one["id"], **second)
    assert told.get("error", {}).get("param") == param


@pytest.mark.parametrize(
    ("given", "options", "param"),
    [
        (LONG, {"stream": True}, "caching.prefix"),
        ("short", {}, "caching.prefix"),
        (LONG, {"store": False}, "store"),
        (LONG, {}, None),
    ],
)
async def test_a_prefix_has_rules_of_its_own(
    raw: httpx.AsyncClient, given: str, options: dict, param: str | None
) -> None:
    told = await respond(raw, given, caching={**ON, "prefix": True}, **options)
    assert told.get("error", {}).get("param") == param


async def test_the_cheap_tier_stores_nothing(raw: httpx.AsyncClient) -> None:
    told = await respond(raw, "echo: x", service_tier="flex")
    assert told["error"]["param"] == "service_tier"
    assert answer_of(await respond(raw, "echo: x", service_tier="flex", store=False)) == "x"


@pytest.mark.parametrize(
    "item",
    [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "T"}]},
        {"type": "web_search_call", "id": "ws_1", "action": {"type": "search", "query": "q"}},
    ],
)
async def test_items_sent_back_say_that_they_are_completed(
    raw: httpx.AsyncClient, item: dict
) -> None:
    error = (await respond(raw, [item, user("echo: x")]))["error"]
    assert (error["code"], error["param"]) == ("MissingParameter", "input.status")
    told = await respond(raw, [{**item, "status": "completed"}, user("echo: x")])
    assert answer_of(told) == "x"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ([{"role": "user", "content": "x", "summary": []}], "summary"),
        ([{"type": "function_call", "call_id": "1", "role": "user"}], "role"),
        ([{"type": "reasoning", "status": "completed", "text": "x"}], "text"),
        ([{"type": "reasoning", "status": "completed", "summary": [{"txt": "x"}]}], "txt"),
        ([user([{"type": "input_text", "text": "x", "cache_control": {}}])], "cache_control"),
        ([user([{"type": "input_text", "text": "x", "detail": "low"}])], "detail"),
        ([user([{"type": "input_image", "image_url": "x", "image_size": 1}])], "image_size"),
        ([user([{"type": "input_image", "image_pixel_limit": {"most": 1}}])], "most"),
        ([user([{"type": "output_text", "text": "x", "annotations": []}])], "annotations"),
    ],
)
async def test_each_kind_of_item_has_its_keys(
    raw: httpx.AsyncClient, given: Any, field: str
) -> None:
    message = (await respond(raw, given))["error"]["message"]
    assert message.startswith(f'json: unknown field "{field}"')


async def test_null_is_fine_at_every_level(raw: httpx.AsyncClient) -> None:
    item = {"type": "message", "role": "user", "id": None, "content": [
        {"type": "input_text", "text": "echo: x"}]}  # fmt: skip
    told = await respond(
        raw, [item], thinking=None, reasoning=None, text=None, tools=None, include=None,
        caching=None, max_tool_calls=None, tool_choice=None,
    )  # fmt: skip
    assert answer_of(told) == "x"
