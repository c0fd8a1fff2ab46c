"""Web search, a tool of the Responses API: what may be asked of it, and scripted results.

Nothing is searched: the sources are made up, at hosts that are there for examples.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from chatbot.ark.offline.messages import check_count
from chatbot.ark.offline.refusals import invalid
from chatbot.ark.offline.usage import count_tokens

WANTED = re.compile(r"search|news|weather|today|搜索|新闻|天气|今天", re.IGNORECASE)
WEATHER = re.compile(r"weather|天气", re.IGNORECASE)
TWICE = re.compile(r"\bcompare\b|\btwice\b|比较|两次", re.IGNORECASE)
USUAL_CALLS, MOST_CALLS = 3, 10
USUAL_RESULTS, MOST_RESULTS = 10, 50
LONGEST_QUERY = 60

Source = dict[str, Any]


@dataclass(frozen=True)
class Search:
    """One search that was made, what it found, and the pieces of what was thought after it."""

    query: str
    sources: list[Source]
    thoughts: list[str] = field(default_factory=list)

    @property
    def tokens(self) -> int:
        """What the model read of it."""
        return sum(count_tokens(s["title"] + s.get("summary", "")) for s in self.sources)


@dataclass(frozen=True)
class SearchTool:
    """The tool as it was offered: `calls` is how often it may be used in one answer."""

    forced: bool
    calls: int
    keywords: int
    results: int

    def queries(self, asked: str) -> list[str]:
        """What to search for, nothing if the question does not look like it."""
        if not (self.forced or WANTED.search(asked)):
            return []
        query = " ".join(asked.split())[:LONGEST_QUERY]
        words = [query, f"{query} example.com"] if TWICE.search(asked) else [query]
        return words[: min(self.calls, self.keywords)]

    def search(self, query: str, chinese: bool) -> Search:
        return Search(query, list(found(query, chinese))[: self.results])


def read_search_tool(body: dict[str, Any]) -> SearchTool | None:
    """The web search that a request offers, and may ask for by its `tool_choice`."""
    calls = check_count(body, "max_tool_calls")
    if calls is not None and calls > MOST_CALLS:
        raise invalid("max_tool_calls", f"it must be in [1, {MOST_CALLS}]")
    tools = check_tools(body)
    offered = next((tool for tool in tools if tool["type"] == "web_search"), None)
    choice = read_choice(body, tools)
    if offered is None or choice in ("none", "function"):
        return None
    return SearchTool(
        forced=choice == "web_search" or (choice == "required" and len(tools) == 1),
        calls=calls or USUAL_CALLS,
        keywords=number(offered, "max_keyword", MOST_RESULTS),
        results=number(offered, "limit", USUAL_RESULTS),
    )


def check_tools(body: dict[str, Any]) -> list[dict[str, Any]]:
    tools = body.get("tools")
    if tools is None:
        return []
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise invalid("tools", "it must be a list of objects")
    for tool in tools:
        if not isinstance(tool.get("type"), str) or not tool["type"]:
            raise invalid("tools.type", "it must be a string")
        if tool["type"] == "web_search":
            check_place(tool)
    return tools


def check_place(tool: dict[str, Any]) -> None:
    sources = tool.get("sources")
    if sources is not None and (
        not isinstance(sources, list) or not all(isinstance(name, str) for name in sources)
    ):
        raise invalid("tools.sources", "it must be a list of strings")
    place = tool.get("user_location")
    if place is not None and (not isinstance(place, dict) or place.get("type") != "approximate"):
        raise invalid("tools.user_location.type", "it must be approximate")


def read_choice(body: dict[str, Any], tools: list[dict[str, Any]]) -> str | None:
    """How tools are to be chosen: by one of the words, or by the type of a tool, which must be
    among those that are offered (our choice)."""
    choice = body.get("tool_choice")
    if choice is None or choice in ("auto", "none", "required"):
        return choice
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind not in [tool["type"] for tool in tools]:
        raise invalid("tool_choice", "it must be none, auto, required or one of the tools")
    return str(kind)


def number(tool: dict[str, Any], name: str, usual: int) -> int:
    value = tool.get(name)
    if value is None:
        return usual
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_RESULTS:
        raise invalid(f"tools.{name}", f"it must be in [1, {MOST_RESULTS}]")
    return value


def found(query: str, chinese: bool) -> Iterator[Source]:
    """A source with all that Ark may tell of one, one with the usual, one with the least, and
    the first address once more."""
    first, second, third = TITLES["zh" if chinese else "en"]
    about = f"关于“{query}”的示例摘要。" if chinese else f"A made-up summary about “{query}”."
    site, other = ("示例新闻", "示例百科") if chinese else ("Example News", "Example Wiki")
    yield {
        "type": "url_citation",
        "title": first,
        "url": "https://www.example.com/news/1",
        "site_name": site,
        "publish_time": "2026年10月08日 09:30:00",
        "summary": about,
        "logo_url": "https://www.example.com/logo.png",
        "mobile_url": "https://m.example.com/news/1",
        "cover_image": {"url": "https://www.example.com/1.jpg", "width": 640, "height": 360},
    }
    yield {
        "type": "url_citation",
        "title": second,
        "url": "https://www.example.org/wiki?id=2",
        "site_name": other,
        "publish_time": "2026年09月30日 18:00:00",
        "summary": about,
    }
    yield {"type": "url_citation", "title": third, "url": "https://www.example.net/3"}
    yield {
        "type": "url_citation",
        "title": first,
        "url": "https://www.example.com/news/1",
        "site_name": site,
    }


def report(query: str, chinese: bool) -> str:
    """The answer to a question that was searched for."""
    kind = "weather" if WEATHER.search(query) else "news"
    return REPORTS[kind]["zh" if chinese else "en"].format(query=query)


TITLES = {
    "en": ("A quiet day at Example", "What examples are for", "Notes of a visitor"),
    "zh": ("示例城平静的一天", "示例有什么用", "一位访客的笔记"),
}
SEARCH_FIRST = {
    "en": "This needs something newer than I know, so I will search the web.",
    "zh": "这需要比我所知更新的消息，先在网上搜索一下。",
}
FOUND_ENOUGH = {
    "en": "The sources agree, so a short answer will do.",
    "zh": "几个来源说法一致，简短回答即可。",
}
REPORTS = {
    "weather": {
        "en": """\
I searched the web for “{query}”. The (made-up) sources say:

- **Today**: sunny, 18 to 26 °C, a light wind from the east
- **Tomorrow**: clouds, a little rain in the evening

Nothing was really searched, for this is the offline demo; the sources look as real ones do.""",
        "zh": """\
我在网上搜索了“{query}”。（虚构的）来源说：

- **今天**：晴，18 到 26 °C，微微东风
- **明天**：多云，傍晚有小雨

这里是离线演示，并没有真的搜索；不过下面的来源和真的来源长得一样。""",
    },
    "news": {
        "en": """\
I searched the web for “{query}”. The (made-up) sources say:

1. It was a quiet day at Example: the market was open, and the trains were on time.
2. Examples are still free to use, in any text.

Nothing was really searched, for this is the offline demo; the sources look as real ones do.""",
        "zh": """\
我在网上搜索了“{query}”。（虚构的）来源说：

1. 示例城度过了平静的一天：集市照常开放，列车准点。
2. 示例仍然可以在任何文章里免费使用。

这里是离线演示，并没有真的搜索；不过下面的来源和真的来源长得一样。""",
    },
}
