"""Control over HTTP, for tests that run the fake Ark inside another process.

Only for programs on this machine: a page in a browser sends an `Origin` and is refused.
"""

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any, get_args

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from chatbot.ark.offline.models import model_of
from tests.fake_ark.account import STATES, Plugin, Standing
from tests.fake_ark.ark import FakeArk
from tests.fake_ark.faults import Fault
from tests.fake_ark.shapes import Annotations, ContextApi
from tests.fake_ark.table import FAULTS

Action = Callable[[FakeArk, dict[str, Any]], Any]
WORDS: dict[str, tuple[str, ...]] = {
    "search_plugin": get_args(Plugin),
    "annotations": get_args(Annotations),
    "standing": get_args(Standing),
    "context_api": get_args(ContextApi),
}
SWITCHES = (*WORDS, "burst", "strict_chat", "caches", "deletion_breaks_chains")
HOSTS = ("127.0.0.1", "localhost")


class SteeredArk(FakeArk):
    """A fake Ark with `/offline/faults`, `/offline/clock` and the other paths of `ACTIONS`."""

    def app(self) -> Starlette:
        app = super().app()
        app.router.routes += [
            Route(f"/offline/{name}", endpoint(self, action), methods=[method])
            for method, name, action in ACTIONS
        ]
        return app


def add_fault(ark: FakeArk, given: dict[str, Any]) -> Any:
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


def advance_clock(ark: FakeArk, given: dict[str, Any]) -> Any:
    ark.clock.advance(float(given["advance"]))
    return {"now": ark.clock.now()}


def forget(ark: FakeArk, given: dict[str, Any]) -> Any:
    ark.forget(str(given["ref"]))
    return {}


def set_model(ark: FakeArk, given: dict[str, Any]) -> Any:
    """`{"name": "doubao-seed-2-1-lite-260915", "state": "not_opened"}`, and what a model can do."""
    changes = dict(given)
    name = str(changes.pop("name"))
    state = changes.pop("state", ark.states.get(name, "open"))
    if state not in STATES:
        raise ValueError(f"no such state: {state}; there are {', '.join(STATES)}")
    ark.models[name] = dataclasses.replace(model_of(ark.models, name), **changes)
    ark.states[name] = state
    return {"state": state, **dataclasses.asdict(ark.models[name])}


def set_switches(ark: FakeArk, given: dict[str, Any]) -> Any:
    """`{"search_plugin": "closed", "burst": 2}`: attributes of `FakeArk`, by their names."""
    for name, value in given.items():
        if name not in SWITCHES:
            raise ValueError(f"no such switch: {name}; there are {', '.join(SWITCHES)}")
        if type(value) is not type(getattr(ark, name)):
            raise ValueError(f"{name} is {getattr(ark, name)!r}")
        if name in WORDS and value not in WORDS[name]:
            raise ValueError(f"{name} is one of {', '.join(WORDS[name])}")
    for name, value in given.items():
        setattr(ark, name, value)
    return {name: getattr(ark, name) for name in SWITCHES}


def list_requests(ark: FakeArk, _: dict[str, Any]) -> Any:
    return [recorded.told() for recorded in list(ark.requests)]


def list_contexts(ark: FakeArk, _: dict[str, Any]) -> Any:
    return [dataclasses.asdict(context) for context in list(ark.contexts.values())]


ACTIONS: list[tuple[str, str, Action]] = [
    ("POST", "faults", add_fault),
    ("POST", "clock", advance_clock),
    ("POST", "forget", forget),
    ("POST", "models", set_model),
    ("POST", "switches", set_switches),
    ("GET", "requests", list_requests),
    ("GET", "contexts", list_contexts),
]


def endpoint(ark: FakeArk, action: Action) -> Callable[[Request], Awaitable[JSONResponse]]:
    async def answer(request: Request) -> JSONResponse:
        if "origin" in request.headers or request.url.hostname not in HOSTS:
            return JSONResponse({"error": "not for browsers"}, status_code=403)
        try:
            given = await request.json() if request.method == "POST" else {}
            return JSONResponse(action(ark, given))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return JSONResponse({"error": str(error)}, status_code=400)

    return answer
