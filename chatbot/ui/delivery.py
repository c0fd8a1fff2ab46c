"""Compresses text responses, sends streams without delay, sets cache headers, and puts this app's
metadata into the page's head.

ASGI middleware in front of everything. Gradio sends its page uncompressed, with metadata about
Gradio.
"""

import gzip
import html
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chatbot.ui import parts

HERE = Path(__file__).parent
WORTH_IT = 1024
TEXTS = ("text/", "application/json", "application/javascript")
FOR_GOOD = "public, max-age=31536000, immutable"
# Gradio's metadata, to be removed.
GRADIOS = re.compile(rb'<meta\s+(?:property="og:|name="twitter:)[^>]*>|<link rel="manifest"[^>]*>')
HEAD_END = b"</head>"


class Delivery:
    """ASGI middleware around the whole app; `title` and `description` are for the page's head."""

    def __init__(self, app: ASGIApp, title: str, description: str) -> None:
        self._app = app
        self._about = (title, description)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(scope, send, self._about)
        await self._app(scope, receive, answer.take)


class _Answer:
    """One response. Its start is held back until the body's form is decided."""

    def __init__(self, scope: Scope, send: Send, about: tuple[str, str]) -> None:
        self._scope = scope
        self._send = send
        self._about = about
        self._start: Message | None = None
        self._body = bytearray()

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            self._mark(headers, message["status"])
            if self._is_held(headers, message["status"]):
                self._start = message
                return
        elif self._start is not None:
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                await self._finish()
            return
        await self._send(message)

    def _mark(self, headers: MutableHeaders, status: int) -> None:
        """Set the cache headers, and forbid proxies to buffer a stream."""
        path = self._scope["path"]
        if headers.get("content-type", "").startswith("text/event-stream"):
            headers["Cache-Control"] = "no-cache, no-transform"
            headers["X-Accel-Buffering"] = "no"
        elif status == 200 and ("/assets/" in path or path.endswith("/theme.css")):
            # Their addresses change with their content.
            headers["Cache-Control"] = FOR_GOOD
        elif "cache-control" not in headers:
            headers["Cache-Control"] = "no-cache"

    def _is_held(self, headers: MutableHeaders, status: int) -> bool:
        if status != 200 or "content-encoding" in headers or self._scope["method"] != "GET":
            return False
        length = headers.get("content-length", "")
        kind = headers.get("content-type", "")
        return length.isdigit() and int(length) >= WORTH_IT and kind.startswith(TEXTS)

    async def _finish(self) -> None:
        assert self._start is not None
        headers = MutableHeaders(scope=self._start)
        body = bytes(self._body)
        asked = Headers(scope=self._scope)
        if headers.get("content-type", "").startswith("text/html") and HEAD_END in body:
            origin = f"{self._scope['scheme']}://{asked.get('host', '')}"
            root = self._scope.get("root_path", "").rstrip("/")
            body = _with_head(body, *self._about, origin + root, root)
        headers.add_vary_header("Accept-Encoding")
        if "gzip" in asked.get("accept-encoding", ""):
            body = _small(body)
            headers["Content-Encoding"] = "gzip"
        headers["Content-Length"] = str(len(body))
        await self._send(self._start)
        await self._send({"type": "http.response.body", "body": body})


@lru_cache(maxsize=8)
def _small(body: bytes) -> bytes:
    return gzip.compress(body, 6, mtime=0)


@lru_cache(maxsize=8)
def _with_head(body: bytes, title: str, description: str, origin: str, root: str) -> bytes:
    """Gradio's page with this app's metadata, and with links to all its parts."""
    facts = {
        'name="description"': description,
        'property="og:type"': "website",
        'property="og:title"': title,
        'property="og:description"': description,
        'property="og:image"': f"{origin}/preview.png",
        'name="twitter:card"': "summary_large_image",
    }
    # Gradio sets the title with a script, which link previews do not run.
    tags = [f"<title>{html.escape(title)}</title>"]
    tags += [f'<meta {name} content="{html.escape(value)}">' for name, value in facts.items()]
    tags += [
        f'<link rel="icon" type="image/svg+xml" href="{root}/icon.svg">',
        f'<link rel="manifest" href="{root}/manifest.json">',
        *parts.links(),
    ]
    cleaned = GRADIOS.sub(b"", body)
    return cleaned.replace(HEAD_END, "\n".join(tags).encode() + HEAD_END, 1)


def about_routes(title: str, description: str) -> list[Route]:
    """Routes for the files that the head names: icon, preview image, manifest."""

    async def icon(_: Request) -> Response:
        return FileResponse(HERE / "icon.svg", media_type="image/svg+xml")

    async def preview(_: Request) -> Response:
        return FileResponse(HERE / "preview.png", media_type="image/png")

    async def manifest(_: Request) -> Response:
        # Addresses are relative to the manifest.
        told: dict[str, Any] = {
            "name": title,
            "short_name": title,
            "description": description,
            "start_url": "./",
            "scope": "./",
            "display": "standalone",
            "background_color": "#ffffff",
            "theme_color": "#4f46e5",
            "icons": [{"src": "icon.svg", "sizes": "any", "type": "image/svg+xml"}],
        }
        return JSONResponse(told, media_type="application/manifest+json")

    table = {"icon.svg": icon, "preview.png": preview, "manifest.json": manifest}
    return [Route(f"/{name}", answer, methods=["GET"]) for name, answer in table.items()]
