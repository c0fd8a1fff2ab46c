"""What the page can ask for: a person's conversations, and turns in them.

Thin on purpose: it checks, asks `storage` and `turns`, and hands out plain views. Every call takes
the person; a conversation that is somebody else's is not found.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from chatbot.characters import storable
from chatbot.errors import ConversationNotFound, EmptyMessage, MessageTooLong
from chatbot.searching import Searches
from chatbot.storage import conversations, erase, messages, turns
from chatbot.storage.conversations import Listed, Totalled
from chatbot.storage.database import Storage
from chatbot.storage.search import conversations as search_words
from chatbot.storage.search import hit
from chatbot.storage.tables import State
from chatbot.storage.turns import Continue, Edit, Regenerate, Send, TurnRequest
from chatbot.turns.purse import Purse
from chatbot.turns.runner import Runner
from chatbot.views import Entry, Snapshot, StartedReply, Thread, Totals

LIST_LIMIT = 100
TITLE_CHARS = 120
ID_DIGITS = 18
"""What a database's whole number surely holds."""
HIT_REACH = 1_000
"""So many messages back a hit is looked for; a page shows no more."""
SHORT_WINDOW = 60
"""As many messages take a millisecond or two to read; more are read by a thread."""
STORED_FRAME_SECONDS = 0.5
"""How often a turn of another process is looked up."""
WATCH_SECONDS = 10.0
"""For how long whoever follows a turn of another process says to watch it; twice as often."""
ASKED_SECONDS = 0.001
"""In this time Ark is asked. A page drawn before takes the processor from it."""
NOTHING = Snapshot("", "", (), True)
"""Of a conversation that was emptied while somebody followed a reply in it."""


class ChatService:
    """The conversations of all people; every method serves one of them, `user_id`."""

    def __init__(
        self, storage: Storage, runner: Runner, purse: Purse, *, max_input_chars: int
    ) -> None:
        self._storage = storage
        self._runner = runner
        self._purse = purse
        self._max_input_chars = max_input_chars
        self._searches = Searches()

    async def list_conversations(
        self,
        user_id: int,
        search: str = "",
        *,
        titles_only: bool = False,
        limit: int = LIST_LIMIT,
    ) -> list[Entry]:
        """The newest conversations, newest first, up to `limit`; `search` looks in titles and
        messages.

        A search raises `SearchNotDone` when it takes too long, or waits and another one of this
        person comes.
        """
        if not search.strip():
            rows = await self._storage.read(conversations.newest, user_id, limit)
            return [_entry(row) for row in rows]
        async with self._searches.turn(user_id):
            rows = await self._storage.search(
                search_words, user_id, limit, search, titles_only=titles_only
            )
        return [_entry(row) for row in rows]

    async def hit(self, user_id: int, conversation_id: str, search: str) -> tuple[int | None, int]:
        """The message that a search has found in a conversation, if it is one, and how many come
        after it. Raises `ConversationNotFound`."""
        found: tuple[int | None, int] = await self._storage.search(
            hit, user_id, conversation_id, search, HIT_REACH
        )
        return found

    async def start_conversation(self, user_id: int) -> str:
        """The id of an empty conversation; one that was never used is used again."""
        return await self._storage.write(conversations.start, user_id)

    async def entry(self, user_id: int, conversation_id: str) -> Entry:
        """One conversation as the list shows it. Raises `ConversationNotFound`."""
        return _entry(await self._storage.read(conversations.listed, user_id, conversation_id))

    async def open(self, user_id: int, conversation_id: str, window: int) -> Thread:
        """The newest `window` messages. Raises `ConversationNotFound`."""
        look = self._storage.read_inline if window <= SHORT_WINDOW else self._storage.read
        return await look(_open, self._purse, user_id, conversation_id, window)

    async def rename(self, user_id: int, conversation_id: str, title: str) -> None:
        """Give the conversation another title; an empty one is not taken."""
        title = " ".join(storable(title).split())[:TITLE_CHARS]
        if not title:
            raise EmptyMessage()
        await self._storage.write(conversations.rename, user_id, conversation_id, title)

    async def delete(self, user_id: int, conversation_id: str) -> None:
        """Delete the conversation with all its messages, here and as far as possible at Ark's.

        A running reply is stopped first. Its turns keep their numbers.
        """
        await self.stop(user_id, conversation_id)
        refs = await self._storage.write(erase.conversation, user_id, conversation_id)
        self._runner.forget(refs)
        await self._storage.empty_log()

    async def send(self, user_id: int, conversation_id: str, text: str) -> StartedReply:
        """Store the question and start the reply; it goes on without the caller.

        Raises `EmptyMessage`, `MessageTooLong`, `ConversationNotFound`, `TurnRunning`,
        `TooManyTurns`, `StorageUnavailable`; nothing is stored then.
        """
        return await self._start(user_id, conversation_id, Send(self._checked(text)))

    async def edit(
        self, user_id: int, conversation_id: str, question_id: int, text: str
    ) -> StartedReply:
        """Ask an earlier question in other words; what followed the old ones is kept."""
        request = Edit(question_id, self._checked(text))
        return await self._start(user_id, conversation_id, request)

    async def regenerate(self, user_id: int, conversation_id: str, reply_id: int) -> StartedReply:
        """Have the newest question answered again; the reply there is stays as a version."""
        return await self._start(user_id, conversation_id, Regenerate(reply_id))

    async def go_on(self, user_id: int, conversation_id: str, reply_id: int) -> StartedReply:
        """Have the newest reply continued, which ended early."""
        return await self._start(user_id, conversation_id, Continue(reply_id))

    async def undo(self, user_id: int, conversation_id: str, reply_id: int) -> str:
        """Take back the newest turn; returns its question. It stays as a version."""
        return await self._storage.write(messages.undo, user_id, conversation_id, reply_id)

    async def show_version(
        self, user_id: int, conversation_id: str, message_id: int, step: int
    ) -> None:
        """Show the version `step` places after a message, with what followed it."""
        await self._storage.write(messages.show_version, user_id, conversation_id, message_id, step)

    async def follow(
        self, user_id: int, conversation_id: str, reply_id: int, frame_seconds: float
    ) -> AsyncGenerator[Snapshot]:
        """A running reply as it grows, wherever it runs; the last snapshot is `done`."""
        turn = self._runner.writing(user_id, reply_id)
        snapshots = (
            self._runner.follow(turn, frame_seconds)
            if turn is not None
            else self._follow_stored(user_id, conversation_id, reply_id)
        )
        async with aclosing(snapshots):
            async for snapshot in snapshots:
                yield snapshot

    async def source(self, user_id: int, message_id: str) -> str:
        """A message as it was written. Raises `ConversationNotFound`."""
        if not is_message_id(message_id):
            raise ConversationNotFound()
        return await self._storage.read(messages.text_of, user_id, int(message_id))

    async def stop(self, user_id: int, conversation_id: str) -> None:
        """Stop the running reply, if one runs; its text so far is kept."""
        turn_id = await self._storage.write(turns.request_stop, user_id, conversation_id)
        turn = self._runner.get(turn_id)
        if turn is not None:
            turn.stop(State.STOPPED)

    async def _start(
        self, user_id: int, conversation_id: str, request: TurnRequest
    ) -> StartedReply:
        turn = await self._runner.start(user_id, conversation_id, request)
        await turn.changed(turn.version, ASKED_SECONDS)
        started = turn.started
        return StartedReply(
            str(started.conversation_id), started.reply_id, started.before_id is None
        )

    async def _follow_stored(
        self, user_id: int, conversation_id: str, reply_id: int
    ) -> AsyncGenerator[Snapshot]:
        said_at = -WATCH_SECONDS
        while True:
            thread = await self.open(user_id, conversation_id, 1)
            running = thread.running_reply
            if running is None or running.id != reply_id:
                last = thread.messages[-1] if thread.messages else None
                yield Snapshot(last.content, last.thought, last.notes, True) if last else NOTHING
                return
            if time.monotonic() - said_at > WATCH_SECONDS / 2:
                said_at = time.monotonic()
                await self._storage.write(turns.follow, user_id, conversation_id, WATCH_SECONDS)
            yield Snapshot(running.content, running.thought, running.notes, False)
            await asyncio.sleep(STORED_FRAME_SECONDS)

    def _checked(self, text: str) -> str:
        text = storable(text).strip()
        if not text:
            raise EmptyMessage()
        if len(text) > self._max_input_chars:
            raise MessageTooLong(length=len(text), limit=self._max_input_chars)
        return text


def _open(purse: Purse, user_id: int, conversation_id: str, window: int) -> Thread:
    found = conversations.totalled(user_id, conversation_id)
    branch = messages.shown_branch(found.head_id, window + 1)
    shown = branch[-window:]
    saved = purse.budget.prices.saved(found.cached)
    # While a reply is written no other version can be chosen.
    choosable = shown and found.has_versions and shown[-1].state != State.STREAMING
    return Thread(
        _entry(found),
        shown,
        len(branch) > window,
        Totals(found.prompt, found.cached, found.completion, found.micro_yuan, saved),
        purse.today(user_id),
        messages.versions(found.id, shown) if choosable else [],
    )


def _entry(row: Listed | Totalled) -> Entry:
    return Entry(str(row.id), row.title, row.updated_at, bool(row.turn_is_running), row.memory_kind)


def is_message_id(told: str) -> bool:
    """Whether this can be the id of a message: so many digits fit into the database's integers."""
    return told.isascii() and told.isdecimal() and len(told) <= ID_DIGITS
