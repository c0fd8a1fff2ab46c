"""The shortcut for events: an event that the guard has checked goes straight to Gradio's queue and
starts at once. Its answers come straight from Gradio's function for them.

It skips two steps: FastAPI's reading of signatures and Gradio's own login (in a thread), which this
app does not use; and the wait until the queue looks for new events, because no event has to wait
here. Gradio still runs the event and sends its frames. Without the shortcut the requests go to
Gradio's routes, and the queue looks for events by itself.
"""

import asyncio
import time
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

LOOK_SECONDS = 0.05
"""How often the queue looks for events that could not start at once because it was full."""
HEAD_START_SECONDS = 0.0025
"""Time for an event to send its request to Ark."""
FIELDS = {"data", "fn_index", "session_hash", "event_data", "trigger_id", "request"}
"""What an event in Gradio's queue is made of."""


@dataclass(frozen=True)
class Shortcuts:
    """The two ASGI apps that answer the routes of events."""

    join: ASGIApp
    data: ASGIApp


def shorten(app: Any) -> Shortcuts | None:
    """The shortcut for this Gradio app; None, and the log says why, if it does not fit."""
    return take("events", lambda: _shortcuts(app))


def _shortcuts(app: Any) -> Shortcuts:
    # Here, because another Gradio may not have it.
    from gradio.data_classes import PredictBodyInternal
    from gradio.utils import set_task_name

    queue = app.get_blocks()._queue
    expect(queue.push, "body", "request", "username")
    if not isinstance(queue.stopped, bool):
        raise DoesNotFit("the queue does not tell whether it was stopped")
    if missing := FIELDS - PredictBodyInternal.model_fields.keys():
        raise DoesNotFit(f"an event has no {', '.join(sorted(missing))}")
    _endpoint(app, f"{API}/queue/join")
    data = _endpoint(app, f"{API}/queue/data")
    expect(data, "request", "session_hash")
    _expect_to_start(queue)
    queue.sleep_when_free = LOOK_SECONDS

    async def take_event(request: Request) -> Response:
        if queue.stopped:
            raise HTTPException(503)
        body = PredictBodyInternal(**request.scope[EVENT], request=request)
        taken, told, why = await queue.push(body=body, request=request, username=None)
        if not taken:
            raise HTTPException(503 if why == "queue_full" else 400, str(told))
        # Start the event first, and confirm it while Ark works.
        if started := _start_waiting(queue, set_task_name):
            await asyncio.wait(started, timeout=HEAD_START_SECONDS)
        return JSONResponse({"event_id": told})

    async def stream_answers(request: Request) -> Response:
        response: Response = await data(request, request.query_params["session_hash"])
        return response

    return Shortcuts(_answering(take_event), _answering(stream_answers))


def _expect_to_start(queue: Any) -> None:
    """Raise unless the queue has what `_start_waiting` uses."""
    expect(queue.process_events, "events", "batch", "begin_time", "fn")
    places, events = queue.active_jobs, queue.event_queue_per_concurrency_id
    if not (isinstance(places, list) and isinstance(events, dict)):
        raise DoesNotFit("the queue keeps its events in another way")
    if queue.get_events() is not None or not isinstance(queue._asyncio_tasks, set):
        raise DoesNotFit("the queue gives its events in another way")
    if not isinstance(queue.sleep_when_free, int | float):
        raise DoesNotFit("the queue does not say how often it looks")


def _start_waiting(queue: Any, name: Callable[..., None]) -> list[asyncio.Task[None]]:
    """Start the waiting events as the queue itself does. Gradio finds the tasks of a closed tab by
    their names."""
    tasks = []
    while None in queue.active_jobs and (found := queue.get_events()):
        events, batch, concurrency_id = found
        queue.active_jobs[queue.active_jobs.index(None)] = events
        of_function = queue.event_queue_per_concurrency_id[concurrency_id]
        of_function.current_concurrency += 1
        started_at, function = time.time(), events[0].fn
        of_function.start_times_per_fn[function].add(started_at)
        task = asyncio.create_task(queue.process_events(events, batch, started_at, function))
        name(task, events[0].session_hash, function._id, events[0]._id, batch)
        queue._asyncio_tasks.add(task)
        task.add_done_callback(queue._asyncio_tasks.discard)
        tasks.append(task)
    return tasks


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
