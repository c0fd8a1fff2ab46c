"""The way of an event from the browser to its handler, made shorter than Gradio's own.

What an event does, and how its frames reach the browser, stays Gradio's. Left out is what this app
has no use for and what took most of the time until Ark was asked: FastAPI's reading of signatures
and Gradio's own login (in a thread) for each request, waiting for the queue to look for new events,
and a thread for each generator. Nobody ever waits for another's event here, and all handlers are
asynchronous. Fits the Gradio that `requirements.txt` names.
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.data_classes import PredictBodyInternal
from gradio.queueing import Queue
from gradio.route_utils import API_PREFIX
from gradio.utils import set_task_name
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from chatbot.ui.event_inputs import EVENT

LOOK_SECONDS = 0.05
"""How often Gradio's queue looks for events that could not start at once: all places were taken."""
HEAD_START_SECONDS = 0.0025
"""In this time an event gets as far as asking Ark."""


class Page(gr.Blocks):
    """`gr.Blocks` that starts the handlers which yield frames without a thread."""

    async def call_function(
        self,
        block_fn: Any,
        processed_input: list[Any],
        iterator: Any = None,
        requests: Any = None,
        event_id: str | None = None,
        event_data: Any = None,
        *more: Any,
    ) -> Any:
        if iterator is None and inspect.isasyncgenfunction(block_fn.fn):
            kind = block_fn.fn.event_data
            about = [kind(event_data.target, event_data._data)] if kind else []
            iterator = block_fn.fn(*processed_input, *about, requests)
        return await super().call_function(
            block_fn, processed_input, iterator, requests, event_id, event_data, *more
        )


@dataclass(frozen=True)
class Shortcuts:
    """The endpoints of the two event routes as ASGI apps, without the web app's middleware."""

    join: ASGIApp
    data: ASGIApp


def shorten(app: Any) -> Shortcuts:
    """Have a Gradio app answer the two routes of its events by what stands here."""
    data = _endpoint(app, f"{API_PREFIX}/queue/data")
    queue = app.get_blocks()._queue
    queue.sleep_when_free = LOOK_SECONDS
    # Nobody waits, so there is no time to estimate.
    queue.broadcast_estimations = lambda *_: None

    async def take_event(request: Request) -> Response:
        if queue.stopped:
            raise HTTPException(503)
        try:
            fields = request.scope.get(EVENT) or await request.json()
            body = PredictBodyInternal.model_validate({**fields, "request": request})
        # Not JSON, not an event, nested too deeply, or not all of it.
        except (TypeError, ValueError, RecursionError, ClientDisconnect):
            raise HTTPException(422) from None
        if body.session_hash is None:
            raise HTTPException(400)
        taken, told, why = await queue.push(body=body, request=request, username=None)
        if not taken:
            raise HTTPException(503 if why == "queue_full" else 400, str(told))
        started = _start_waiting(queue)
        # The event goes first. That it was taken is told while Ark thinks.
        if started:
            await asyncio.wait(started, timeout=HEAD_START_SECONDS)
        return JSONResponse({"event_id": told})

    async def stream_frames(request: Request) -> Response:
        response: Response = await data(request, request.query_params.get("session_hash", ""))
        return response

    app.router.routes[:0] = [
        Route(f"{API_PREFIX}/queue/join", take_event, methods=["POST"]),
        Route(f"{API_PREFIX}/queue/data", stream_frames, methods=["GET"]),
    ]
    return Shortcuts(_answering(take_event), _answering(stream_frames))


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
    raise LookupError(f"Gradio has no route {path}")


def _start_waiting(queue: Queue) -> list[asyncio.Task[None]]:
    """Start the events that wait, as the queue itself does when it looks for them."""
    tasks = []
    while None in queue.active_jobs and (found := queue.get_events()):
        events, batch, concurrency_id = found
        queue.active_jobs[queue.active_jobs.index(None)] = events
        of_function = queue.event_queue_per_concurrency_id[concurrency_id]
        of_function.current_concurrency += 1
        started_at, function = time.time(), events[0].fn
        of_function.start_times_per_fn[function].add(started_at)
        task = asyncio.create_task(queue.process_events(events, batch, started_at, function))
        set_task_name(task, events[0].session_hash, function._id, events[0]._id, batch)
        queue._asyncio_tasks.add(task)
        task.add_done_callback(queue._asyncio_tasks.discard)
        tasks.append(task)
    return tasks
