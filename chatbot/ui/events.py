"""The shortcut for events: one that the guard has checked goes straight to Gradio's queue, and its
answers come straight from Gradio's function for them.

Left out is what FastAPI does before: it reads signatures and, in a thread, asks for Gradio's own
login, which this app does not use. What an event does, and how its frames reach the browser, stays
Gradio's. Without the shortcut the same requests go to Gradio's routes.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from chatbot.ui.doors import API
from chatbot.ui.event_inputs import EVENT
from chatbot.ui.shortcuts import DoesNotFit, expect, take

FIELDS = {"data", "fn_index", "session_hash", "event_data", "trigger_id", "request"}
"""What an event in Gradio's queue is made of."""


@dataclass(frozen=True)
class Shortcuts:
    """What answers the two routes of events, for requests that the guard has let pass."""

    join: ASGIApp
    data: ASGIApp


def shorten(app: Any) -> Shortcuts | None:
    """The shortcut for this Gradio app; None, and the log says why, if it does not fit."""
    return take("events", lambda: _shortcuts(app))


def _shortcuts(app: Any) -> Shortcuts:
    # Here, because another Gradio may not have it.
    from gradio.data_classes import PredictBodyInternal

    queue = app.get_blocks()._queue
    expect(queue.push, "body", "request", "username")
    if not isinstance(queue.stopped, bool):
        raise DoesNotFit("the queue does not tell whether it was stopped")
    if missing := FIELDS - PredictBodyInternal.model_fields.keys():
        raise DoesNotFit(f"an event has no {', '.join(sorted(missing))}")
    _endpoint(app, f"{API}/queue/join")
    data = _endpoint(app, f"{API}/queue/data")
    expect(data, "request", "session_hash")

    async def take_event(request: Request) -> Response:
        if queue.stopped:
            raise HTTPException(503)
        body = PredictBodyInternal(**request.scope[EVENT], request=request)
        taken, told, why = await queue.push(body=body, request=request, username=None)
        if not taken:
            raise HTTPException(503 if why == "queue_full" else 400, str(told))
        return JSONResponse({"event_id": told})

    async def stream_answers(request: Request) -> Response:
        response: Response = await data(request, request.query_params["session_hash"])
        return response

    return Shortcuts(_answering(take_event), _answering(stream_answers))


def _answering(endpoint: Callable[[Request], Awaitable[Response]]) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await endpoint(Request(scope, receive, send))
        except HTTPException as error:
            response = JSONResponse({"detail": error.detail}, error.status_code)
        await response(scope, receive, send)

    return answer


def _endpoint(app: Any, path: str) -> Callable[..., Any]:
    """Gradio's own function behind a path."""
    for included in app.routes:
        router = getattr(included, "original_router", None)
        for route in router.routes if router else ():
            if getattr(route, "path", "") == path:
                endpoint: Callable[..., Any] = route.endpoint
                return endpoint
    raise DoesNotFit(f"no route {path}")
