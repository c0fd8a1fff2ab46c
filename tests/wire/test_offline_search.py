"""Web search of the local Ark, in the form of the vendor's pages and of what others have seen."""

import json
from typing import Any

import httpx
import pytest
from volcenginesdkarkruntime import AsyncArk
from volcenginesdkarkruntime._exceptions import ArkBadRequestError, ArkNotFoundError

from chatbot.ark.offline.search import read_search_tool
from tests.fake_ark import FakeArk
from tests.wire.arks import MODEL, QUIET

pytestmark = pytest.mark.anyio

ENDPOINT = "ep-offline-demo"
SEARCH = {"type": "web_search"}


async def ask(raw: httpx.AsyncClient, asked: str, **options: Any) -> Any:
    body = {"model": MODEL, "input": asked, "tools": [SEARCH], **options}
    return (await raw.post("/responses", json=body)).json()


async def events(raw: httpx.AsyncClient, asked: str, **options: Any) -> tuple[str, list[Any]]:
    body = {"model": MODEL, "input": asked, "tools": [SEARCH], "stream": True, **options}
    text = (await raw.post("/responses", json=body)).text
    lines = [line[6:] for line in text.split("\n") if line.startswith("data: {")]
    return text, [json.loads(line) for line in lines]


def kinds(response: Any) -> list[str]:
    return [item["type"] for item in response["output"]]


async def test_the_events_of_a_search_byte_for_byte(raw: httpx.AsyncClient) -> None:
    text, told = await events(raw, "news today", thinking=QUIET)
    ws, msg = [e["item"]["id"] for e in told if e["type"] == "response.output_item.done"]
    assert ws.startswith("ws_02")
    assert len(ws) == 3 + 53
    head = [
        '"type":"response.output_item.added","output_index":0,'
        f'"item":{{"type":"web_search_call","id":"{ws}","status":"in_progress"}}',
        f'"type":"response.web_search_call.in_progress","item_id":"{ws}","output_index":0',
        f'"type":"response.web_search_call.searching","item_id":"{ws}","output_index":0',
        f'"type":"response.web_search_call.completed","item_id":"{ws}","output_index":0',
        '"type":"response.output_item.done","output_index":0,"item":{"type":"web_search_call",'
        '"action":{"type":"search","query":"news today"},"status":"completed",'
        f'"id":"{ws}"}}',
        '"type":"response.output_item.added","output_index":1,"item":{"type":"message",'
        f'"role":"assistant","status":"in_progress","id":"{msg}"}}',
    ]
    expected = "".join(
        f'event: {line.split(chr(34))[3]}\ndata: {{{line},"sequence_number":{n}}}\n\n'
        for n, line in enumerate(head, 2)
    )
    assert expected in text
    assert [e["sequence_number"] for e in told] == list(range(len(told)))
    added = [e for e in told if e["type"] == "response.output_text.annotation.added"]
    assert [list(e) for e in added] == [
        ["type", "content_index", "item_id", "output_index", "annotation", "sequence_number"]
    ] * 4
    assert {(e["item_id"], e["output_index"]) for e in added} == {(msg, 1)}
    final = told[-1]["response"]["output"][1]["content"][0]
    assert list(final) == ["type", "text", "annotations"]
    assert final["annotations"] == [e["annotation"] for e in added]


async def test_thoughts_stand_before_and_after(raw: httpx.AsyncClient) -> None:
    _, told = await events(raw, "今天有什么新闻")
    response = told[-1]["response"]
    assert kinds(response) == ["reasoning", "web_search_call", "reasoning", "message"]
    thought, search, after, message = response["output"]
    assert len({thought["id"], search["id"], after["id"], message["id"]}) == 4
    assert search["action"]["query"] == "今天有什么新闻"
    deltas = [e for e in told if e["type"] == "response.reasoning_summary_text.delta"]
    for index, item in ((0, thought), (2, after)):
        said = "".join(e["delta"] for e in deltas if e["output_index"] == index)
        assert item["summary"] == [{"type": "summary_text", "text": said}]
        assert said
    assert "今天有什么新闻" in message["content"][0]["text"]
    assert {e["output_index"] for e in told if e["type"] == "response.output_text.delta"} == {3}


async def test_sources_differ_in_what_they_tell(raw: httpx.AsyncClient) -> None:
    found = (await ask(raw, "news"))["output"][-1]["content"][0]["annotations"]
    assert {source["type"] for source in found} == {"url_citation"}
    assert all(
        source["title"] and source["url"].startswith("https://www.example.") for source in found
    )
    urls = [source["url"] for source in found]
    assert (len(urls), len(set(urls))) == (4, 3)
    assert [list(source) for source in found if len(source) == 3] == [["type", "title", "url"]]
    assert "cover_image" in found[0]


async def test_what_was_found_costs_input(raw: httpx.AsyncClient) -> None:
    plain = (await ask(raw, "news today", tools=None))["usage"]
    usage = (await ask(raw, "news today", thinking=QUIET))["usage"]
    assert usage["input_tokens"] > plain["input_tokens"]
    assert "tool_usage" not in plain
    assert list(usage)[-2:] == ["tool_usage", "tool_usage_details"]
    assert usage["tool_usage"] == {"web_search": 1}
    assert usage["tool_usage_details"] == {"web_search": {"search_engine": 1}}


@pytest.mark.parametrize(
    ("asked", "options", "searches"),
    [
        ("news", {}, 1),
        ("hello", {}, 0),
        ("天气怎么样", {"model": ENDPOINT}, 1),
        ("news", {"tools": []}, 0),
        ("news", {"tool_choice": "none"}, 0),
        ("hello", {"tool_choice": "required"}, 1),
        ("hello", {"tool_choice": SEARCH}, 1),
        ("echo: news", {}, 0),
        ("echo: news", {"tool_choice": SEARCH}, 1),
        ("compare the news", {}, 2),
        ("compare the news", {"max_tool_calls": 1}, 1),
        ("compare the news", {"tools": [{**SEARCH, "max_keyword": 1}]}, 1),
    ],
)
async def test_searches_when_it_makes_sense(
    raw: httpx.AsyncClient, asked: str, options: dict, searches: int
) -> None:
    response = await ask(raw, asked, **options)
    assert kinds(response).count("web_search_call") == searches
    assert response["usage"].get("tool_usage", {"web_search": 0}) == {"web_search": searches}


async def test_the_limit_bounds_the_results(raw: httpx.AsyncClient) -> None:
    response = await ask(raw, "news", tools=[{**SEARCH, "limit": 1}])
    assert len(response["output"][-1]["content"][0]["annotations"]) == 1


async def test_all_options_are_taken(raw: httpx.AsyncClient) -> None:
    place = {"type": "approximate", "country": "中国", "region": "浙江", "city": "杭州"}
    tool = {**SEARCH, "max_keyword": 3, "limit": 10, "sources": ["toutiao"]}
    response = await ask(
        raw, "news", tools=[{**tool, "user_location": {**place, "timezone": None}}]
    )
    assert "web_search_call" in kinds(response)
    assert response["tools"][0]["user_location"]["city"] == "杭州"


@pytest.mark.parametrize(
    ("options", "param", "words"),
    [
        ({"tools": [{**SEARCH, "web_search": {"limit": 1}}]}, "", 'unknown field "web_search"'),
        ({"tools": [{**SEARCH, "user_location": {"street": "x"}}]}, "", 'unknown field "street"'),
        ({"tools": [{"type": "function", "name": "f", "function": {}}]}, "",
         'unknown field "function"'),
        ({"tools": [{**SEARCH, "limit": 51}]}, "tools.limit", ""),
        ({"tools": [{**SEARCH, "max_keyword": 0}]}, "tools.max_keyword", ""),
        ({"tools": [{**SEARCH, "sources": "toutiao"}]}, "tools.sources", ""),
        ({"tools": [{**SEARCH, "user_location": {"type": "exact"}}]},
         "tools.user_location.type", ""),
        ({"tools": SEARCH}, "tools", ""),
        ({"max_tool_calls": 11}, "max_tool_calls", ""),
        ({"tools": None, "tool_choice": SEARCH}, "tool_choice", ""),
        ({"caching": {"type": "enabled"}}, "caching", "caching"),
    ],
)  # fmt: skip
async def test_refuses(raw: httpx.AsyncClient, options: dict, param: str, words: str) -> None:
    error = (await ask(raw, "news", **options))["error"]
    assert (error["code"], error["param"]) == ("InvalidParameter", param)
    assert words in error["message"]


async def test_chat_has_no_web_search(client: AsyncArk) -> None:
    with pytest.raises(ArkBadRequestError) as refused:
        await client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "news"}], tools=[SEARCH]
        )
    assert (refused.value.code, refused.value.param) == ("MissingParameter", "tools.function")


async def test_the_plugin_may_be_closed(client: AsyncArk, ark: FakeArk) -> None:
    ark.search_plugin = "closed"
    with pytest.raises(ArkNotFoundError) as refused:
        await client.responses.create(model=MODEL, input="news", tools=[SEARCH])
    assert refused.value.code == "ToolNotOpen"
    assert "CC_content_plugin" in refused.value.body["message"]
    assert await client.responses.create(model=MODEL, input="news")
    ark.search_plugin = "open"
    assert await client.responses.create(model=MODEL, input="news", tools=[SEARCH])


@pytest.mark.parametrize(
    ("shape", "by_events", "at_the_end"),
    [("both", 4, 4), ("deltas", 4, 0), ("final", 0, 4), ("none", 0, 0)],
)
async def test_where_sources_are_told_can_be_set(
    raw: httpx.AsyncClient, ark: FakeArk, shape: Any, by_events: int, at_the_end: int
) -> None:
    ark.annotations = shape
    _, told = await events(raw, "news")
    assert len([e for e in told if e["type"].endswith("annotation.added")]) == by_events
    part = told[-1]["response"]["output"][-1]["content"][0]
    assert len(part.get("annotations", [])) == at_the_end
    assert ("annotations" in part) == bool(at_the_end)


async def test_the_sdk_reads_it(client: AsyncArk) -> None:
    stream = await client.responses.create(
        model=MODEL, input="news", tools=[SEARCH], thinking=QUIET, stream=True
    )
    told = [event async for event in stream]
    done = [e.item for e in told if e.type == "response.output_item.done"]
    assert [item.type for item in done] == ["web_search_call", "message"]
    assert done[0].action.query == "news"
    assert done[1].content[0].annotations[0].url == "https://www.example.com/news/1"
    assert told[-1].response.usage.tool_usage.web_search == 1


async def test_whoever_stops_in_the_thoughts_does_not_search(raw: httpx.AsyncClient) -> None:
    response = await ask(raw, "news", max_output_tokens=3)
    assert (response["status"], kinds(response)) == ("incomplete", ["reasoning"])
    assert "tool_usage" not in response["usage"]


def test_without_the_tool_there_is_nothing() -> None:
    assert read_search_tool({"tools": [{"type": "function", "name": "f"}]}) is None
    assert read_search_tool({"tools": None, "tool_choice": None}) is None
