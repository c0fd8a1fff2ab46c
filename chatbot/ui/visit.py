"""Who sent an event: the decorator of every handler.

The user is known only from the login cookie; language and time zone come from the browser. Errors
for users become a message on the page here.
"""

import functools
import inspect
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any, Protocol
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import gradio as gr

from chatbot.accounts import Accounts, Person
from chatbot.errors import AdminsOnly, ChatbotError, NotLoggedIn
from chatbot.ui.cookies import ZONE, token_of
from chatbot.ui.tabs import CALLER, RUNNING, Caller, Running
from chatbot.ui.texts import Language, error_text, language_of

CALLER_SECONDS = 1.0
"""How long the guard's lookup of a login stays valid."""


@dataclass(frozen=True)
class Visit:
    """The user, language, time zone, tab and address of an event."""

    person: Person | None
    language: Language
    zone: tzinfo
    tab: str
    address: str

    @property
    def user_id(self) -> int:
        """Raises `NotLoggedIn` for an anonymous visit."""
        if self.person is None:
            raise NotLoggedIn()
        return self.person.id


class HasAccounts(Protocol):
    accounts: Accounts


def for_user(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Make a method `(self, visit, *inputs)` an event handler for logged-in users."""
    return _guarded(handler, anonymous=False)


def for_anyone(handler: Callable[..., Any]) -> Callable[..., Any]:
    """The same, also for visitors without a login; then `visit.person` is None."""
    return _guarded(handler, anonymous=True)


def for_admin(handler: Callable[..., Any]) -> Callable[..., Any]:
    """The same as `for_user`, for accounts with the admin flag only."""
    return _guarded(handler, anonymous=False, admin=True)


def _guarded(
    handler: Callable[..., Any], *, anonymous: bool, admin: bool = False
) -> Callable[..., Any]:
    async def visit_of(accounts: Accounts, request: gr.Request) -> Visit:
        # Take the raw request: `gr.Request` passes its data through JSON.
        asked: Any = request.request
        person = await _person(accounts, asked)
        if person is None and not anonymous:
            raise NotLoggedIn()
        if admin and not (person and person.is_admin):
            raise AdminsOnly()
        return Visit(
            person,
            language_of(asked.headers.get("accept-language")),
            zone_of(asked.cookies.get(ZONE)),
            request.session_hash or "",
            asked.client.host if asked.client else "",
        )

    if inspect.isasyncgenfunction(handler):

        @functools.wraps(handler)
        async def guarded(self: HasAccounts, *values: Any) -> AsyncIterator[Any]:
            *inputs, request = values
            running = _begun(request)
            try:
                visit = await visit_of(self.accounts, request)
                async for frame in handler(self, visit, *inputs):
                    yield frame
            except ChatbotError as error:
                raise _shown(error, request) from error
            finally:
                running.end()

    else:

        @functools.wraps(handler)
        async def guarded(self: HasAccounts, *values: Any) -> Any:
            *inputs, request = values
            running = _begun(request)
            try:
                visit = await visit_of(self.accounts, request)
                return await handler(self, visit, *inputs)
            except ChatbotError as error:
                raise _shown(error, request) from error
            finally:
                running.end()

    # Gradio passes what the signature asks for: the inputs, then the request.
    me, _visit, *inputs = inspect.signature(handler).parameters.values()
    request = inspect.Parameter("request", me.kind, annotation=gr.Request)
    guarded.__signature__ = inspect.Signature([me, *inputs, request])  # type: ignore[attr-defined]
    guarded.__annotations__ = {**handler.__annotations__, "request": gr.Request}
    guarded.is_guarded = True  # type: ignore[attr-defined]
    return guarded


async def _person(accounts: Accounts, asked: Any) -> Person | None:
    """The user as the guard has just looked them up; looked up again if the event had to wait."""
    caller: Caller | None = asked.scope.get(CALLER)
    if caller is not None and time.monotonic() - caller.at < CALLER_SECONDS:
        return caller.person
    return await accounts.person(token_of(asked))


def _begun(request: gr.Request) -> Running:
    """Mark the event in the guard's records as started, and return it."""
    asked: Any = request.request
    running: Running = asked.scope.get(RUNNING) or Running()
    running.started = True
    return running


def _shown(error: ChatbotError, request: gr.Request) -> gr.Error:
    language = language_of(request.headers.get("accept-language"))
    zone = zone_of(request.cookies.get(ZONE))
    return gr.Error(error_text(error, language, zone), duration=8, title="", print_exception=False)


def zone_of(name: str | None) -> tzinfo:
    """The time zone of the IANA name in a cookie; UTC if it is missing or unknown."""
    try:
        return ZoneInfo(unquote(name)) if name else UTC
    except (KeyError, ValueError, OSError):
        return UTC
