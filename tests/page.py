"""The page without a browser: its events over the HTTP that browsers use."""

import asyncio
import html
import json
import re
import secrets
from contextlib import asynccontextmanager
from typing import Any

import httpx
from gradio_client.utils import apply_diff

from chatbot.ui.render import typed_text
from tests.discretion import PASSWORD
from tests.server import Server

ROUTES = "gradio_api/chatbot"
CAPTION = '<small class="caption'
TAG = re.compile(r"<[^>]*>")
PATIENCE = 60
"""Seconds after which what was to happen is taken as never happening."""


class Refused(Exception):
    """An event was answered with a message for the person."""


class Browser:
    """A browser with its cookies; `tab` opens a page in it."""

    def __init__(self, client: httpx.AsyncClient, functions: dict[str, int]) -> None:
        self.client = client
        self.functions = functions

    @property
    def cookies(self) -> httpx.Cookies:
        return self.client.cookies

    def tab(self) -> "Tab":
        return Tab(self.client, self.functions)


class Tab:
    """One page of one browser, as far as its events go."""

    def __init__(self, client, functions):
        self._client = client
        self._functions = functions
        self.hash = secrets.token_hex(8)

    async def event(self, name, *inputs, data=None):
        """The outputs of an event as they come; `data` is what it says of itself (EventData)."""
        join = {
            "data": inputs,
            "fn_index": self._functions[name],
            "session_hash": self.hash,
            "event_data": data,
        }
        # With half of a surrogate pair, too, for which httpx's own JSON has no bytes.
        sent = {"content": json.dumps(join), "headers": {"Content-Type": "application/json"}}
        answer = await self._client.post("gradio_api/queue/join", **sent)
        answer.raise_for_status()
        event_id = answer.json()["event_id"]
        shown = None
        url = f"gradio_api/queue/data?session_hash={self.hash}"
        async with self._client.stream("GET", url) as stream:
            async for line in stream.aiter_lines():
                if not line.startswith("data:"):
                    continue
                message = json.loads(line[5:])
                if message.get("event_id") != event_id:
                    # Of an event that nobody waited for.
                    continue
                if message["msg"] == "process_generating":
                    data = message["output"]["data"]
                    if shown is None:
                        shown = data
                    else:
                        shown = [apply_diff(*pair) for pair in zip(shown, data, strict=True)]
                    yield shown
                elif message["msg"] == "process_completed":
                    if not message["success"]:
                        raise Refused(message["output"].get("error"))
                    yield message["output"]["data"]
                    return
        raise httpx.ReadError("the server left")

    async def result(self, name, *inputs, data=None):
        """The last outputs of an event; raises `TimeoutError` when it does not end."""
        async with asyncio.timeout(PATIENCE):
            return [outputs async for outputs in self.event(name, *inputs, data=data)][-1]

    async def new_conversation(self):
        # A new one, so that it does not follow a reply that is being written in another.
        await self.result("view", "new", None)
        update, *_ = await self.result("new_session")
        return update["value"]

    async def ask(self, conversation, question):
        """The reply to a question, when it has ended."""
        messages, *_ = await self.result("send", conversation, None, "", question, "")
        return reply_of(messages)

    async def thread(self, conversation):
        """The messages of a conversation: role and text."""
        await self.result("view", conversation, None)
        messages, *_ = await self.result("select_session", conversation, None)
        return [[message["role"], text_of(message)] for message in messages]


def text_of(message):
    """What can be read of a message, without the caption below it."""
    texts = [block["text"] for block in message["content"]]
    shown = texts[0] if texts and CAPTION not in texts[0] else ""
    if message["role"] == "user":
        return typed_text(shown)
    return html.unescape(TAG.sub("", shown))


def reply_of(messages):
    last = messages[-1] if messages else {"role": ""}
    return text_of(last) if last["role"] == "assistant" else ""


@asynccontextmanager
async def browser(server: Server, name: str = "", known=None, address: str = ""):
    """A browser of a person who registers, of one known by cookies, or, without both, nobody's.

    `address` is where it says it is, which counts behind a trusted proxy only.
    """
    headers = {"X-Forwarded-For": address} if address else {}
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(
        base_url=server.url, timeout=30, limits=limits, headers=headers
    ) as client:
        if known is not None:
            for name, value in known.items():
                # Behind one address, two processes would call it the same.
                login = re.fullmatch(r"chatbot_login_\d+", name)
                client.cookies.set(
                    f"chatbot_login_{client.base_url.port}" if login else name, value
                )
        elif name:
            new = {"name": name, "password": PASSWORD}
            registered = await client.post(f"{ROUTES}/register", json=new)
            registered.raise_for_status()
        config = config_of((await client.get("")).text)
        yield Browser(client, {entry["api_name"]: entry["id"] for entry in config["dependencies"]})


def config_of(page: str) -> dict[str, Any]:
    """What the page says of its parts and its events."""
    _, _, rest = page.partition("window.gradio_config = ")
    config, _ = json.JSONDecoder().raw_decode(rest)
    return dict(config)
