"""The routes of the account page: JSON in and out, for logged-in users.

Routes, not events, because a password must never pass through an event of the page. The route to
change the password is in `routes.py`.
"""

import asyncio
import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chatbot.accounts import Accounts, Person
from chatbot.errors import BadInput, NotLoggedIn
from chatbot.self_service import SelfService
from chatbot.ui.cookies import set_login_cookie, token_of
from chatbot.ui.routes import PREFIX, answering, fields_of, texts_of
from chatbot.views import LoginRow

LARGEST_ID = 2**31 - 1


def account_routes(accounts: Accounts, self_service: SelfService) -> list[Route]:
    """GET logins; POST logins/end {"id"} or {"others": true}, export-all, delete-account
    {"password"}."""
    handle = _Handlers(accounts, self_service)
    table = [
        ("GET", "logins", handle.logins),
        ("POST", "logins/end", handle.end_logins),
        ("POST", "export-all", handle.export_all),
        ("POST", "delete-account", handle.delete_account),
    ]
    return [
        Route(f"{PREFIX}/{name}", answering(handler), methods=[method])
        for method, name, handler in table
    ]


class _Handlers:
    def __init__(self, accounts: Accounts, self_service: SelfService) -> None:
        self._accounts = accounts
        self._self_service = self_service

    async def logins(self, request: Request) -> Response:
        person, token = await self._who(request)
        return await self._logins(person, token)

    async def end_logins(self, request: Request) -> Response:
        """End one login or all others; responds with the remaining logins."""
        fields = await fields_of(request)
        person, token = await self._who(request)
        if fields.get("others") is True:
            await self._self_service.end_other_logins(person.id, token)
        else:
            await self._self_service.end_login(person.id, _login_id(fields.get("id")))
        return await self._logins(person, token)

    async def export_all(self, request: Request) -> Response:
        person, _ = await self._who(request)
        data = await self._self_service.export(person.id)
        # The text can be long: build it on a thread, so that others do not wait.
        text = await asyncio.to_thread(json.dumps, data, ensure_ascii=False)
        return Response(text.encode("utf-8", "replace"), media_type="application/json")

    async def delete_account(self, request: Request) -> Response:
        (password,) = await texts_of(request, "password")
        person, _ = await self._who(request)
        await self._accounts.confirm(person, password)
        await self._self_service.delete_account(person)
        response = JSONResponse({"user": None})
        set_login_cookie(response, request, "", 0)
        return response

    async def _who(self, request: Request) -> tuple[Person, str]:
        token = token_of(request)
        person = await self._accounts.person(token)
        if token is None or person is None:
            raise NotLoggedIn()
        return person, token

    async def _logins(self, person: Person, token: str) -> Response:
        rows = await self._self_service.logins(person.id, token)
        return JSONResponse({"logins": [_shown(row) for row in rows]})


def _shown(row: LoginRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "created_at": row.created_at.isoformat(),
        "seen_at": row.seen_at.isoformat(),
        "browser": row.browser,
        "this": row.is_this,
    }


def _login_id(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= LARGEST_ID:
        raise BadInput()
    return value
