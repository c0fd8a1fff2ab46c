"""The shortcuts for Gradio's data of a tab: create it cheaply, and free it when the tab is closed.

For each tab Gradio stores a description of every component. That takes half of the time of a tab's
first event and 0.1 MB, and only serves `deep_link`, a route that is closed here. Gradio never frees
the data of a tab. Without the shortcuts, `state_session_capacity` of `launch` limits the memory.
"""

import asyncio
from collections.abc import Callable
from copy import copy
from datetime import datetime
from typing import Any

from chatbot.ui.shortcuts import DoesNotFit, expect, take

OF_A_TAB = {"blocks_config", "config_values", "state_data", "_state_ttl"}
"""The attributes of Gradio's `SessionState` that differ between tabs."""
OF_ALL = {"is_closed", "STATE_TTL_WHEN_CLOSED"}


class Sessions:
    """Gradio's tables of sessions; `attach` before the first tab."""

    def __init__(self) -> None:
        self._app: Any = None
        self._make: Callable[[], Any] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def attach(self, app: Any) -> None:
        """Use the tables of this Gradio app, if they fit."""
        self._app = take("freeing what closed tabs leave", lambda: _with_tables(app))
        if self._app is not None:
            self._make = take("the first event of a tab", lambda: _maker(app.get_blocks()))

    def begin(self, session_hash: str) -> None:
        """Create the data that Gradio would create at the first event of this tab."""
        if self._make is not None:
            holder = self._app.state_holder
            holder.session_data[session_hash] = self._make()
            holder.time_last_used[session_hash] = datetime.now()

    def free(self, session_hash: str) -> None:
        """Free the data of this tab, and end its events."""
        if self._app is not None:
            # End events first: a running event needs the tab's data for every frame.
            task = asyncio.create_task(self._free(session_hash))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _free(self, session_hash: str) -> None:
        holder, queue = self._app.state_holder, self._app.get_blocks()._queue
        await queue.clean_events(session_hash=session_hash)
        holder.session_data.pop(session_hash, None)
        holder.time_last_used.pop(session_hash, None)
        queue.pending_messages_per_session.pop(session_hash, None)
        queue.pending_event_ids_session.pop(session_hash, None)


def _with_tables(app: Any) -> Any:
    """The app itself, if it has the expected tables of sessions; else raises."""
    holder, queue = app.state_holder, app.get_blocks()._queue
    expect(queue.clean_events, "session_hash")
    tables = (
        holder.session_data,
        holder.time_last_used,
        queue.pending_messages_per_session,
        queue.pending_event_ids_session,
    )
    if not all(isinstance(table, dict) for table in tables):
        raise DoesNotFit("sessions are kept in something else")
    return app


def _maker(blocks: Any) -> Callable[[], Any]:
    """A function that creates Gradio's data of a new tab without a description of the page."""
    from gradio.state_holder import SessionState

    empty = SessionState(blocks)
    if (has := vars(empty).keys()) != OF_A_TAB | OF_ALL:
        raise DoesNotFit(f"a tab has {', '.join(sorted(has))}")

    def make() -> Any:
        made = copy(empty)
        made.blocks_config = copy(empty.blocks_config)
        # Gradio fills these on demand.
        made.config_values, made.state_data, made._state_ttl = {}, {}, {}
        return made

    return make
