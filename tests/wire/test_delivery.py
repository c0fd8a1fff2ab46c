"""How answers travel: what the page's head says, what is packed, what is kept and for how long."""

import asyncio
import json
import re
from html.parser import HTMLParser

import gradio as gr
import httpx
import pytest

from chatbot.ui import parts
from chatbot.ui.blocks import DESCRIPTION, TITLE
from tests.page import browser
from tests.server import running_server

pytestmark = pytest.mark.anyio
PACKED = {"Accept-Encoding": "gzip"}
PLAIN = {"Accept-Encoding": "identity"}
FOR_GOOD = "public, max-age=31536000, immutable"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    settings = {"TRUSTED_PROXIES": "127.0.0.1", "REGISTRATION": "open"}
    with running_server(None, tmp_path_factory.mktemp("delivery"), **settings) as running:
        yield running


@pytest.fixture
def get(server):
    def ask(path="", **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.get(server.url + path, headers=PLAIN | headers)

    return ask


class Head(HTMLParser):
    """The elements of a page's head, and what its title says."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.title, self._in_title = [], "", False
        self.feed(page.partition("</head>")[0])

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._in_title = tag == "title"

    def handle_endtag(self, tag):
        self._in_title = False

    def handle_data(self, data):
        self.title += data if self._in_title else ""

    def facts(self):
        """What the page says of itself to others, and how often it says it."""
        meta = [about for tag, about in self.tags if tag == "meta" and "content" in about]
        return [(one.get("property") or one["name"], one["content"]) for one in meta]

    def links(self, rel):
        return [about["href"] for tag, about in self.tags if tag == "link" and about["rel"] == rel]


def test_the_head_is_the_products_own(get, server):
    head = Head(get().text)
    assert head.title == TITLE
    assert sum(tag == "title" for tag, _ in head.tags) == 1
    [_, *facts] = head.facts()
    assert facts == [
        ("description", DESCRIPTION),
        ("og:type", "website"),
        ("og:title", TITLE),
        ("og:description", DESCRIPTION),
        ("og:image", f"{server.url}preview.png"),
        ("twitter:card", "summary_large_image"),
    ]
    links = json.dumps([about for tag, about in head.tags if tag == "link"]).lower()
    assert "gradio" not in links
    assert not [one for _, one in facts if "gradio" in one.lower()]


def test_a_preview_is_named_by_the_address_the_world_sees(get):
    seen = Head(get(X_Forwarded_Proto="https", X_Forwarded_Host="chat.example").text).facts()
    assert dict(seen)["og:image"] == "https://chat.example/preview.png"


def test_icon_preview_and_manifest_are_there(get):
    head = Head(get().text)
    [icon], [manifest] = head.links("icon"), head.links("manifest")
    drawn = get(icon[1:])
    assert drawn.headers["content-type"] == "image/svg+xml"
    assert drawn.text.startswith("<svg")
    told = get(manifest[1:]).json()
    assert (told["name"], told["description"]) == (TITLE, DESCRIPTION)
    assert [one["src"] for one in told["icons"]] == ["icon.svg"]
    assert "gradio" not in json.dumps(told).lower()
    picture = get("preview.png").content
    assert picture.startswith(b"\x89PNG")
    # At least as large as those who show previews ask for.
    width, height = (int.from_bytes(picture[at : at + 4]) for at in (16, 20))
    assert (width >= 1200, height >= 630) == (True, True)


def test_texts_are_packed_for_who_can_unpack_them(get):
    for path in ("", "theme.css", *assets(get, "modulepreload")[:2]):
        plain, packed = get(path), get(path, **PACKED)
        assert "content-encoding" not in plain.headers
        assert packed.headers["content-encoding"] == "gzip", path
        assert packed.content == plain.content
        assert int(packed.headers["content-length"]) < len(plain.content) * 0.6
        assert "accept-encoding" in packed.headers["vary"].lower()
    assert int(get("", **PACKED).headers["content-length"]) < 80_000
    assert "content-encoding" not in get("gradio_api/chatbot/health", **PACKED).headers, "too small"
    assert "content-encoding" not in get("preview.png", **PACKED).headers, "packed already"


def assets(get, rel):
    return [one.removeprefix("./") for one in Head(get().text).links(rel)]


def assert_runs_freely(stream):
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert "content-encoding" not in stream.headers
    assert stream.headers["cache-control"] == "no-cache, no-transform"
    assert stream.headers["x-accel-buffering"] == "no"


async def test_a_stream_is_not_packed_held_up_or_kept(server):
    async with browser(server, "ann") as ann:
        tab = ann.tab()
        conversation = await tab.new_conversation()
        join = {
            "data": [conversation, None, "", "long", ""],
            "fn_index": ann.functions["send"], "session_hash": tab.hash,
        }  # fmt: skip
        await ann.client.post("gradio_api/queue/join", json=join)
        url = f"gradio_api/queue/data?session_hash={tab.hash}"
        async with (
            asyncio.timeout(20),
            ann.client.stream("GET", url, headers=PACKED) as stream,
        ):
            assert_runs_freely(stream)
            frames = 0
            async for line in stream.aiter_lines():
                frames += "process_generating" in line
                if frames == 3:
                    break
                # Before the answer has ended: nothing waits for the end.
                assert "process_completed" not in line
        beat = f"gradio_api/heartbeat/{tab.hash}"
        async with ann.client.stream("GET", beat, headers=PACKED) as stream:
            assert_runs_freely(stream)


def test_every_part_is_named_at_once_and_kept_for_good(get):
    names = parts.LIST.read_text(encoding="utf-8").split()
    missing = [name for name in names if not (parts.ASSETS / name).is_file()]
    assert missing == [], "preloads.txt is of another Gradio"
    scripts = assets(get, "modulepreload")
    assert scripts == [f"assets/{name}" for name in names if name.endswith(".js")]
    # All sheets in one, after Gradio's first; those in it are named so that nobody loads them.
    head = [about for _, about in Head(get().text).tags if about.get("rel") == "stylesheet"]
    [together] = [about["href"].removeprefix("./") for about in head if "?v=" in about["href"]]
    alone = [name for name in names if name.endswith(".css")]
    disabled = [about["href"] for about in head if "disabled" in about]
    assert disabled == [f"./assets/{name}" for name in alone]
    sheet = get(together)
    assert sheet.headers["content-type"].startswith("text/css")
    assert sheet.content == b"\n".join((parts.ASSETS / name).read_bytes() for name in alone)
    for path in (*scripts[:3], together):
        answer = get(path)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == FOR_GOOD


KEPT = (parts.links, parts._sheet, parts._names)


@pytest.fixture
def forgotten():
    """What was found out about Gradio's parts is forgotten, before the test and after it."""
    for kept in KEPT:
        kept.cache_clear()
    yield
    for kept in KEPT:
        kept.cache_clear()


def test_a_page_with_other_parts_is_left_as_it_is(forgotten, monkeypatch, tmp_path, caplog):
    names = parts.LIST.read_text(encoding="utf-8").split()
    for name in names[1:]:
        (tmp_path / name).touch()
    monkeypatch.setattr(parts, "ASSETS", tmp_path)
    parts.sheet_route()
    assert parts.links() == ()
    [told] = caplog.messages
    assert "opening the page is off" in told
    assert f"1 of {len(names)} parts" in told


def test_a_page_of_another_gradio_is_left_as_it_is(forgotten, monkeypatch, caplog):
    monkeypatch.setattr(gr, "__version__", "6.32.0")
    assert parts.links() == ()
    assert "opening the page is off" in caplog.text


def test_only_what_never_changes_is_kept(get):
    page = get()
    assert page.headers["cache-control"] == "no-cache"
    [version] = re.findall(r'"theme_hash":"(\w+)"', page.text)
    assert get(f"theme.css?v={version}").headers["cache-control"] == FOR_GOOD
    for path in ("icon.svg", "manifest.json", "preview.png"):
        assert get(path).headers["cache-control"] == "no-cache"
    for path in ("assets/nothing.js", "gradio_api/chatbot/me"):
        assert "immutable" not in get(path).headers["cache-control"]
