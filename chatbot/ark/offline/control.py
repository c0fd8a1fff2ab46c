"""Control over HTTP, for tests that run the local Ark inside another process.

Only for programs on this machine: a page in a browser sends an `Origin` and is refused.
"""

import dataclasses
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from chatbot.ark.offline.faults import FAULTS, Fault
from chatbot.ark.offline.models import model_of

if TYPE_CHECKING:
    from chatbot.ark.offline.server import OfflineArk

Action = Callable[["OfflineArk", dict[str, Any]], Any]
HOSTS = ("127.0.0.1", "localhost")


def add_fault(ark: "OfflineArk", given: dict[str, Any]) -> Any:
    """`{"name": "drop", "after": 5, "path": "chat"}`"""
    changes = dict(given)
    name = changes.pop("name", None)
    if name not in FAULTS:
        raise ValueError(f"no such fault: {name}; there are {', '.join(FAULTS)}")
    known = {field.name for field in dataclasses.fields(Fault)} - {"kind", "body"}
    if unknown := changes.keys() - known:
        raise ValueError(f"a fault has no {', '.join(sorted(unknown))}")
    ark.fail_next(dataclasses.replace(FAULTS[name], **changes))
    return {"pending": len(ark.pending_faults())}


def advance_clock(ark: "OfflineArk", given: dict[str, Any]) -> Any:
    ark.clock.advance(float(given["advance"]))
    return {"now": ark.clock.now()}


def forget(ark: "OfflineArk", given: dict[str, Any]) -> Any:
    ark.forget(str(given["ref"]))
    return {}


def set_model(ark: "OfflineArk", given: dict[str, Any]) -> Any:
    """`{"name": "doubao-seed-2-1-lite-260915", "state": "not_opened"}`"""
    changes = dict(given)
    name = str(changes.pop("name"))
    ark.models[name] = dataclasses.replace(model_of(ark.models, name), **changes)
    return dataclasses.asdict(ark.models[name])


def list_requests(ark: "OfflineArk", _: dict[str, Any]) -> Any:
    listed = [dataclasses.asdict(recorded) for recorded in list(ark.requests)]
    for recorded in listed:
        recorded["headers"].pop("authorization", None)
    return listed


def list_contexts(ark: "OfflineArk", _: dict[str, Any]) -> Any:
    return [dataclasses.asdict(context) for context in list(ark.contexts.values())]


def routes(ark: "OfflineArk") -> list[Route]:
    actions: list[tuple[str, str, Action]] = [
        ("POST", "faults", add_fault),
        ("POST", "clock", advance_clock),
        ("POST", "forget", forget),
        ("POST", "models", set_model),
        ("GET", "requests", list_requests),
        ("GET", "contexts", list_contexts),
    ]
    return [
        Route(f"/offline/{name}", endpoint(ark, action), methods=[method])
        for method, name, action in actions
    ]


def endpoint(ark: "OfflineArk", action: Action) -> Callable[[Request], Awaitable[JSONResponse]]:
    async def answer(request: Request) -> JSONResponse:
        if "origin" in request.headers or request.url.hostname not in HOSTS:
            return JSONResponse({"error": "not for browsers"}, status_code=403)
        try:
            given = await request.json() if request.method == "POST" else {}
            return JSONResponse(action(ark, given))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return JSONResponse({"error": str(error)}, status_code=400)

    return answer
