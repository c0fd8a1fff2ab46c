"""The routes of pictures and PDF files: upload one, show it to its owner, remove it again.

An upload is the bare content with two headers: the guard can then refuse it before anything of it
is read, and nothing has to be parsed.
"""

import asyncio
from functools import partial
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chatbot.accounts import Accounts, Person
from chatbot.errors import BadInput, NotLoggedIn
from chatbot.service import ChatService
from chatbot.ui.cookies import token_of
from chatbot.ui.doors import FILES_PATH
from chatbot.ui.lanes import Lanes
from chatbot.ui.pace import Pace
from chatbot.ui.routes import answering

SESSION, NAME = "x-session", "x-name"
"""The session of an upload, and the file's name, percent-encoded."""
UPLOAD_SECONDS = 300
AT_ONCE = 20
"""Uploads whose content is in memory."""
IN_A_ROW = partial(Pace, burst=20, per_second=2)
"""Uploads of one person, which come one after the other."""
KEPT_SECONDS = 30 * 24 * 3600
SHOWN = ("image/jpeg", "image/png")
"""Types that a browser shows; others are saved. Browsers show no PDF in a sandbox."""


def files_routes(accounts: Accounts, service: ChatService) -> list[Route]:
    """POST files with X-Session and X-Name: {"id", "kind", "name", "width", "height", "pages"};
    GET and DELETE files/ID."""
    handle = _Handlers(accounts, service)
    one = f"{FILES_PATH}/{{id:uuid}}"
    return [
        Route(FILES_PATH, answering(handle.upload), methods=["POST"]),
        Route(one, answering(handle.show), methods=["GET"]),
        Route(one, answering(handle.remove), methods=["DELETE"]),
    ]


class _Handlers:
    def __init__(self, accounts: Accounts, service: ChatService) -> None:
        self._accounts = accounts
        self._service = service
        self._lanes = Lanes(IN_A_ROW())
        self._places = asyncio.Semaphore(AT_ONCE)

    async def upload(self, request: Request) -> Response:
        person = await self._person(request)
        session, name = request.headers.get(SESSION, ""), request.headers.get(NAME, "")
        async with self._lanes.go(person.id), self._places:
            content = await self._content(request)
            file = await self._service.upload(person.id, session, unquote(name), content)
        return JSONResponse(file._asdict())

    async def show(self, request: Request) -> Response:
        person = await self._person(request)
        name, file = await self._service.attachment(person.id, str(request.path_params["id"]))
        how = "inline" if file.type in SHOWN else "attachment"
        plain = "".join(char if char.isascii() and char not in '"\\%' else "_" for char in name)
        headers = {
            "Content-Disposition": f"{how}; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}",
            # The next person at this browser has another cookie.
            "Cache-Control": f"private, max-age={KEPT_SECONDS}, immutable",
            "Vary": "Cookie",
        }
        return Response(file.data, media_type=file.type, headers=headers)

    async def remove(self, request: Request) -> Response:
        person = await self._person(request)
        await self._service.detach(person.id, str(request.path_params["id"]))
        return JSONResponse({})

    async def _person(self, request: Request) -> Person:
        person = await self._accounts.person(token_of(request))
        if person is None:
            raise NotLoggedIn()
        return person

    async def _content(self, request: Request) -> bytes:
        """The body, as far as a file may be large, whatever length it declares."""
        longest = self._service.largest_file
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > longest:
            raise self._service.file_too_large()
        content = bytearray()
        try:
            async with asyncio.timeout(UPLOAD_SECONDS):
                async for chunk in request.stream():
                    content += chunk
                    if len(content) > longest:
                        raise self._service.file_too_large()
        except TimeoutError:
            raise BadInput() from None
        return bytes(content)
