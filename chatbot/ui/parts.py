"""The shortcut for opening the page: the browser loads all parts of Gradio's page at once.

Without it the browser finds the scripts one after the other, as they import each other, and loads
20 small style sheets one by one, which is slow on a slow network. Here the page's head names all
scripts, and one sheet that contains the others in order. `preloads.txt` lists what the page loads
without this. Another Gradio version has other file names; then its page is sent unchanged.
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
# In the folder of Gradio's own sheets, so that their relative addresses work.
SHEET = "assets/parts.css"


@lru_cache(maxsize=1)
def links() -> tuple[str, ...]:
    """The elements for the page's head."""
    # Low priority, so that the page's first events need not wait for the last parts.
    scripts = [
        f'<link rel="modulepreload" fetchpriority="low" crossorigin href="./assets/{name}">'
        for name in _found(".js")
    ]
    version = hashlib.sha256(_sheet()).hexdigest()[:16]
    together = f'<link rel="stylesheet" crossorigin href="./{SHEET}?v={version}">'
    # Gradio does not load a sheet that is already linked, and browsers do not load disabled ones.
    alone = [f'<link rel="stylesheet" disabled href="./assets/{name}">' for name in _found(".css")]
    return (together, *scripts, *alone) if alone else tuple(scripts)


def sheet_route() -> Route:
    """The route of the combined sheet. Made at the start, to log then whether it is used."""
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
