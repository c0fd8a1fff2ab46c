"""Crowds at the door: thousands of tabs and events of a few, while somebody honest talks on."""

import asyncio
import json
import re
import time
from collections import Counter
from contextlib import asynccontextmanager

import httpx
import pytest

from chatbot.ui.tabs import ANONYMOUS, PER_PERSON, UNREAD_SECONDS
from tests.fake_ark import FakeArk
from tests.page import browser, text_of
from tests.server import running_server

pytestmark = pytest.mark.anyio

JOIN, DATA = "gradio_api/queue/join", "gradio_api/queue/data"
AT_ONCE = 100
LENGTH = re.compile(r"\ncontent-length: (\d+)")


@pytest.fixture(scope="module")
def crowded_ark():
    with FakeArk(pace=0) as running:
        yield running


@pytest.fixture
def ark(crowded_ark):
    return crowded_ark


@pytest.fixture(scope="module")
def server(crowded_ark, tmp_path_factory):
    settings = {
        "TRUSTED_PROXIES": "127.0.0.1", "REGISTRATION": "open", "SENDS_PER_MINUTE": "0",
        "USER_DAILY_TOKENS": "0", "DAILY_YUAN": "0", "MONTHLY_YUAN": "0",
    }  # fmt: skip
    with running_server(crowded_ark, tmp_path_factory.mktemp("server"), **settings) as running:
        yield running


async def crowd(client, events, headers=lambda _: {}):
    """Send these events, some at a time; how often each status was the answer.

    By hand, because httpx takes more of the processor for a request than the server does.
    """
    told, waiting = Counter(), list(enumerate(events))[::-1]
    url, cookies = client.base_url, "; ".join(f"{k}={v}" for k, v in client.cookies.items())
    known = {"Host": url.netloc.decode(), "Cookie": cookies, **client.headers}

    async def send():
        reader = writer = None
        while waiting:
            number, event = waiting.pop()
            body = json.dumps(event).encode()
            about = {**known, **headers(number), "Content-Length": len(body)}
            lines = [f"POST {url.path}{JOIN} HTTP/1.1", *[f"{k}: {v}" for k, v in about.items()]]
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection(url.host, url.port)
                writer.write("\r\n".join([*lines, "", ""]).encode() + body)
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                await reader.readexactly(int(LENGTH.search(head)[1]))
            except (ConnectionError, asyncio.IncompleteReadError):
                # The server had closed a connection that was idle for five seconds.
                waiting.append((number, event))
                writer = None
                continue
            told[int(head.split()[1])] += 1
        if writer is not None:
            writer.close()

    await asyncio.gather(*[send() for _ in range(AT_ONCE)])
    return told


@asynccontextmanager
async def somebody_honest(server, ark, name):
    """Somebody with a reply that is being written, who asks in another tab all the while.

    All that they ask is answered, nothing is refused, and the reply comes to its end.
    """
    ark.pace = 0.01
    over = asyncio.Event()
    async with browser(server, name, address="198.51.100.7") as one:
        talk, long = one.tab(), one.tab()
        conversations = [await talk.new_conversation()]
        await talk.ask(conversations[0], "echo: hello")
        conversations.append(await long.new_conversation())
        asked = long.event("send", conversations[1], None, "", "count 1200", "")
        await anext(asked)

        async def follow():
            shown = [text_of(messages[-1]) async for messages, *_ in asked if messages]
            return shown[-1]

        async def go_on():
            answered = 0
            while not over.is_set() or answered < 3:
                assert await talk.ask(conversations[0], f"echo: {answered}") == str(answered)
                answered += 1
            return answered

        following, talking = asyncio.create_task(follow()), asyncio.create_task(go_on())
        yield
        over.set()
        assert await talking >= 3
        assert not following.done() or following.result().endswith("1200")
        await one.tab().result("stop", conversations[1])
        assert await following
    assert "Traceback" not in server.log
    ark.pace = 0


def view(functions, session_hash):
    return {"fn_index": functions["view"], "data": [None, None], "session_hash": session_hash}


async def test_a_thousand_tabs_of_nobody_push_out_nobodys_stream(server, ark):
    async with somebody_honest(server, ark, "honest one"), browser(server) as nobody:
        # From one address: more than it may open at once.
        events = [view(nobody.functions, f"tab{number}") for number in range(500)]
        told = await crowd(nobody.client, events, lambda _: {"X-Forwarded-For": "203.0.113.1"})
        assert set(told) == {200, 429}
        # From many addresses, too: more tabs than there may be.
        events = [view(nobody.functions, f"more{number}") for number in range(ANONYMOUS + 20)]
        where = "203.0.{}.{}".format
        told = await crowd(
            nobody.client, events,
            lambda number: {"X-Forwarded-For": where(number // 200, number % 200)},
        )  # fmt: skip
        assert set(told) == {200}
        # Nobody new is locked out, at the crowd's own address neither.
        async with browser(server, "newcomer", address="203.0.113.1") as new:
            tab = new.tab()
            assert await tab.ask(await tab.new_conversation(), "echo: served") == "served"


async def test_a_class_that_opens_the_login_page_together_is_served(server):
    where = {"X-Forwarded-For": "198.51.100.200"}
    async with browser(server) as pupils:
        pupils.client.headers.update(where)

        async def arrive():
            tab = pupils.tab()
            await tab.result("view", None, None)
            await tab.result("follow", None, None)

        await asyncio.gather(*[arrive() for _ in range(40)])


async def test_hundreds_of_events_of_one_account_stop_nobody(server, ark):
    async with (
        somebody_honest(server, ark, "honest two"),
        browser(server, "greedy two", address="203.0.113.2") as greedy,
    ):
        tab = greedy.tab()
        conversation = await tab.new_conversation()
        asked = tab.event("send", conversation, None, "", "count 3000", "")
        await anext(asked)
        # Each would follow the reply to its end, and none is read.
        events = [
            {
                "fn_index": greedy.functions["select_session"], "data": [conversation, None],
                "session_hash": f"greedy{number}",
            }
            for number in range(500)
        ]  # fmt: skip
        began = time.monotonic()
        told = await crowd(greedy.client, events)
        assert set(told) == {200, 429}
        # What nobody reads ends after a while, and makes room for as many others.
        rounds = 1 + (time.monotonic() - began) // UNREAD_SECONDS
        assert told[200] <= PER_PERSON * rounds
        await asked.aclose()


async def test_a_refusal_tells_when_to_come_again(server):
    async with browser(server, "hasty", address="203.0.113.3") as hasty:
        event = view(hasty.functions, "tab")
        answers = await asyncio.gather(*[hasty.client.post(JOIN, json=event) for _ in range(150)])
        told = next(answer for answer in answers if answer.status_code == 429)
        assert told.json()["error"]["code"] == "too_many_requests"
        assert told.json()["detail"].startswith("Too many requests")
        assert int(told.headers["retry-after"]) >= 1
        async with asyncio.timeout(60):
            while told.status_code == 429:
                await asyncio.sleep(0.1)
                told = await hasty.client.post(JOIN, json=event)
        assert told.is_success


async def test_what_is_deep_wide_or_long_costs_nothing(server, ark):
    async with somebody_honest(server, ark, "honest three"), browser(server) as nobody:
        bodies = [
            b"[" * 4000, b"[" * 2_000_000, b'{"a":' * 500, b"[" + b"[]," * 1000 + b"[]]",
            b'{"data":["' + b"x" * 1_000_000 + b'"]}',
        ]  # fmt: skip
        told = Counter()
        for body in bodies * 20:
            try:
                answer = await nobody.client.post(JOIN, content=body)
            except httpx.TransportError:
                # Refused before all of it was sent.
                continue
            told[answer.status_code] += 1
        assert set(told) <= {400, 413, 429}
