"""What Gradio keeps for a tab: made cheaply, and freed when the tab is over.

Gradio itself keeps it for ever, or until its table is full: a quarter of a megabyte and more for
each. And it describes each part of the page anew for each tab, which takes half of the time of a
tab's first event and serves `deep_link` alone, a route that is closed here. There is no public way
around either, so this file knows three of Gradio's tables and how a row of the first is made. Where
they are not as expected, Gradio makes its own, and `state_session_capacity` of `launch` bounds the
memory.
"""

import asyncio
import logging
from copy import copy
from datetime import datetime
from typing import Any

log = logging.getLogger("chatbot.ui")

OF_A_TAB = {"blocks_config", "config_values", "state_data", "_state_ttl"}
"""What a tab has of its own in Gradio's `SessionState`; the rest is the same for all."""
OF_ALL = {"is_closed", "STATE_TTL_WHEN_CLOSED"}


class Sessions:
    """Gradio's tables of sessions; `attach` before the first tab."""

    def __init__(self) -> None:
        self._app: Any = None
        self._empty: Any = None
        self._tasks: set[asyncio.Task[None]] = set()

    def attach(self, app: Any) -> None:
        """Use the tables of this Gradio app, if it has them."""
        try:
            queue = app.get_blocks()._queue
            tables = (
                app.state_holder.session_data,
                app.state_holder.time_last_used,
                queue.pending_messages_per_session,
                queue.pending_event_ids_session,
            )
            fits = all(isinstance(table, dict) for table in tables) and callable(queue.clean_events)
        except AttributeError:
            fits = False
        if not fits:
            log.warning("Gradio keeps its sessions elsewhere: what closed tabs leave is not freed")
            return
        self._app = app
        self._empty = _empty_state(app.get_blocks())

    def begin(self, session_hash: str) -> None:
        """Make what Gradio would make at the first event of this tab."""
        if self._empty is None:
            return
        made = copy(self._empty)
        made.blocks_config = copy(self._empty.blocks_config)
        # Gradio adds what it misses.
        made.config_values, made.state_data, made._state_ttl = {}, {}, {}
        holder = self._app.state_holder
        holder.session_data[session_hash] = made
        holder.time_last_used[session_hash] = datetime.now()

    def free(self, session_hash: str) -> None:
        """Give back what is kept for this tab, and end what runs for it."""
        if self._app is not None:
            # Events first: one that is running looks its tab up for every answer.
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


def _empty_state(blocks: Any) -> Any:
    """What Gradio makes for a new tab; None where it is not what this file knows."""
    try:
        from gradio.state_holder import SessionState

        empty = SessionState(blocks)
    except (ImportError, TypeError):
        return None
    return empty if set(vars(empty)) == OF_A_TAB | OF_ALL else None
