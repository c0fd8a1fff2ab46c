"""What Gradio keeps for a tab, freed when the tab is over.

Gradio itself keeps it for ever, or until its table is full: a quarter of a megabyte and more for
each. There is no public way to give it back, so this file knows three of Gradio's tables. Where
they are not as expected, `state_session_capacity` of `launch` is what bounds the memory.
"""

import asyncio
import logging
from typing import Any

log = logging.getLogger("chatbot.ui")


class Sessions:
    """Gradio's tables of sessions; `attach` before the first tab."""

    def __init__(self) -> None:
        self._app: Any = None
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
        self._app = app if fits else None

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
