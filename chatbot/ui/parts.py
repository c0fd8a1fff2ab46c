"""The shortcut for opening the page: the parts of Gradio's page are asked for at once.

Gradio names them one after the other, as they ask for each other, and each of its 20 small style
sheets is a request of its own. A browser on a slow network waits for each. Here the page's head
names all scripts, and one sheet that holds all the others in their order. `preloads.txt` lists what
the page asks for without this. With another Gradio, whose parts have other names, its page is sent
as it is.
"""

import hashlib
from functools import lru_cache
from pathlib import Path

import gradio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chatbot.ui.shortcuts import DoesNotFit, take

ASSETS = Path(gradio.__file__).parent / "templates" / "frontend" / "assets"
LIST = Path(__file__).with_name("preloads.txt")
# Among Gradio's own, so that what the sheets name relative to themselves is found.
SHEET = "assets/parts.css"


@lru_cache(maxsize=1)
def links() -> tuple[str, ...]:
    """The elements for the page's head."""
    # Of low priority: what the page asks first of the server passes the last of its parts.
    scripts = [
        f'<link rel="modulepreload" fetchpriority="low" crossorigin href="./assets/{name}">'
        for name in _found(".js")
    ]
    version = hashlib.sha256(_sheet()).hexdigest()[:16]
    together = f'<link rel="stylesheet" crossorigin href="./{SHEET}?v={version}">'
    # What a sheet that is there already Gradio does not load again; a disabled one is not loaded.
    alone = [f'<link rel="stylesheet" disabled href="./assets/{name}">' for name in _found(".css")]
    return (together, *scripts, *alone) if alone else tuple(scripts)


def sheet_route() -> Route:
    """The one sheet; made at the start, which is when the log tells whether it will be used."""
    _names()

    async def sheet(_: Request) -> Response:
        return Response(_sheet(), media_type="text/css")

    return Route(f"/{SHEET}", sheet, methods=["GET"])


@lru_cache(maxsize=1)
def _sheet() -> bytes:
    return b"\n".join((ASSETS / name).read_bytes() for name in _found(".css"))


def _found(suffix: str) -> list[str]:
    return [name for name in _names() if name.endswith(suffix)]


@lru_cache(maxsize=1)
def _names() -> tuple[str, ...]:
    return take("opening the page", _listed) or ()


def _listed() -> tuple[str, ...]:
    names = tuple(LIST.read_text(encoding="utf-8").split())
    if missing := [name for name in names if not (ASSETS / name).is_file()]:
        raise DoesNotFit(f"{len(missing)} of {len(names)} parts of the page have other names")
    return names
