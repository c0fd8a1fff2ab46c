"""What the page can ask for: a person's conversations, and turns in them.

Thin on purpose: it checks, asks `storage` and `turns`, and hands out plain values. Every call
takes the person; a conversation that is somebody else's is not found.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from chatbot.budget import Budget, Today
from chatbot.errors import ConversationNotFound, EmptyMessage, MessageTooLong
from chatbot.searching import Searches
from chatbot.storage import branches, erase, journal
from chatbot.storage.branches import Versions
from chatbot.storage.database import Storage
from chatbot.storage.fields import now, storable
from chatbot.storage.journal import Continue, Edit, Regenerate, Send
from chatbot.storage.models import Conversation, Message, State
from chatbot.storage.search import conversations as search_words
from chatbot.storage.search import hit
from chatbot.turn import Snapshot, Turn
from chatbot.turns import Turns

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


@dataclass(frozen=True)
class Entry:
    """A conversation as the list shows it. An unused one has no title."""

    id: str
    title: str
    updated_at: datetime
    running: bool
    memory: str
    """The kind of memory its last turn used; empty before the first."""


class Shown(NamedTuple):
    """A message as the page shows it."""

    id: int
    role: str
    content: str
    thought: str
    state: str
    error: str
    notes: tuple[str, ...]
    at: datetime
    prompt_tokens: int | None
    cached_tokens: int | None
    completion_tokens: int | None
    first_token_ms: int | None
    micro_yuan: int | None
    model: str


@dataclass(frozen=True)
class Totals:
    """Tokens and cost of a whole conversation."""

    prompt: int
    cached: int
    completion: int
    micro_yuan: int
    saved_micro_yuan: int
    """What the cache saved."""


@dataclass(frozen=True)
class Thread:
    """The visible branch of a conversation, oldest message first, as far as it is shown."""

    entry: Entry
    messages: list[Shown]
    has_earlier: bool
    totals: Totals
    today: Today
    """What its owner has used today, in all conversations."""
    versions: list[Versions]
    """Where the shown messages have other versions, oldest first; none while a reply is written."""

    @property
    def running_reply(self) -> Shown | None:
        """The reply that is being written, here or in another process."""
        last = self.messages[-1] if self.messages else None
        return last if last is not None and last.state == State.STREAMING else None


class ChatService:
    """The conversations of all people; every method serves one of them, `user_id`."""

    def __init__(self, storage: Storage, turns: Turns, *, max_input_chars: int) -> None:
        self._storage = storage
        self._turns = turns
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
            rows = await self._storage.read(Conversation.newest, user_id, limit)
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
        return await self._storage.write(_start, user_id)

    async def entry(self, user_id: int, conversation_id: str) -> Entry:
        """One conversation as the list shows it. Raises `ConversationNotFound`."""
        return _entry(await self._storage.read(Conversation.of, user_id, conversation_id))

    async def open(self, user_id: int, conversation_id: str, window: int) -> Thread:
        """The newest `window` messages. Raises `ConversationNotFound`."""
        look = self._storage.read_inline if window <= SHORT_WINDOW else self._storage.read
        return await look(_open, self._turns.budget, user_id, conversation_id, window)

    async def rename(self, user_id: int, conversation_id: str, title: str) -> None:
        """Give the conversation another title; an empty one is not taken."""
        title = " ".join(storable(title).split())[:TITLE_CHARS]
        if not title:
            raise EmptyMessage()
        await self._storage.write(_rename, user_id, conversation_id, title)

    async def delete(self, user_id: int, conversation_id: str) -> None:
        """Delete the conversation with all its messages, here and as far as possible at Ark's.

        A running reply is stopped first. The ledger keeps its numbers.
        """
        await self.stop(user_id, conversation_id)
        refs = await self._storage.write(erase.conversation, user_id, conversation_id)
        self._turns.forget(refs)
        await self._storage.empty_log()

    async def send(self, user_id: int, conversation_id: str, text: str) -> Turn:
        """Store the question and start the reply; it goes on without the caller.

        Raises `EmptyMessage`, `MessageTooLong`, `ConversationNotFound`, `TurnRunning`,
        `TooManyTurns`, `StorageUnavailable`; nothing is stored then.
        """
        return await self._turns.start(user_id, conversation_id, Send(self._checked(text)))

    async def edit(self, user_id: int, conversation_id: str, question_id: int, text: str) -> Turn:
        """Ask an earlier question in other words; what followed the old ones is kept."""
        move = Edit(question_id, self._checked(text))
        return await self._turns.start(user_id, conversation_id, move)

    async def regenerate(self, user_id: int, conversation_id: str, reply_id: int) -> Turn:
        """Have the newest question answered again; the reply there is stays as a version."""
        return await self._turns.start(user_id, conversation_id, Regenerate(reply_id))

    async def go_on(self, user_id: int, conversation_id: str, reply_id: int) -> Turn:
        """Have the newest reply continued, which ended early."""
        return await self._turns.start(user_id, conversation_id, Continue(reply_id))

    async def undo(self, user_id: int, conversation_id: str, reply_id: int) -> str:
        """Take back the newest turn; returns its question. It stays as a version."""
        return await self._storage.write(branches.undo, user_id, conversation_id, reply_id)

    async def show_version(
        self, user_id: int, conversation_id: str, message_id: int, step: int
    ) -> None:
        """Show the version `step` places after a message, with what followed it."""
        await self._storage.write(branches.show_version, user_id, conversation_id, message_id, step)

    async def follow(
        self, user_id: int, conversation_id: str, reply_id: int, frame_seconds: float
    ) -> AsyncIterator[Snapshot]:
        """A running reply as it grows, wherever it runs; the last snapshot is `done`."""
        turn = self._turns.get(reply_id)
        if turn is not None and turn.begun.user_id == user_id:
            snapshots = self._turns.follow(turn, frame_seconds)
        else:
            snapshots = self._follow_stored(user_id, conversation_id, reply_id)
        async for snapshot in snapshots:
            yield snapshot

    async def source(self, user_id: int, message_id: str) -> str:
        """A message as it was written. Raises `ConversationNotFound`."""
        if not is_message_id(message_id):
            raise ConversationNotFound()
        return await self._storage.read(Message.text_of, user_id, int(message_id))

    async def stop(self, user_id: int, conversation_id: str) -> None:
        """Stop the running reply, if one runs; its text so far is kept."""
        reply_id = await self._storage.write(journal.ask_to_stop, user_id, conversation_id)
        turn = self._turns.get(reply_id)
        if turn is not None:
            turn.stop(State.STOPPED)

    async def _follow_stored(
        self, user_id: int, conversation_id: str, reply_id: int
    ) -> AsyncIterator[Snapshot]:
        while True:
            thread = await self.open(user_id, conversation_id, 1)
            last = thread.messages[-1]
            running = thread.running_reply is not None and last.id == reply_id
            yield Snapshot(last.content, last.thought, last.notes, not running)
            if not running:
                return
            await asyncio.sleep(STORED_FRAME_SECONDS)

    def _checked(self, text: str) -> str:
        text = storable(text).strip()
        if not text:
            raise EmptyMessage()
        if len(text) > self._max_input_chars:
            raise MessageTooLong(length=len(text), limit=self._max_input_chars)
        return text


def _start(user_id: int) -> str:
    conversation = Conversation.unused(user_id)
    if conversation is None:
        conversation = Conversation.create(user=user_id)
    else:
        Conversation.update(updated_at=now()).where(Conversation.id == conversation.id).execute()
    return str(conversation.id)


def _open(budget: Budget, user_id: int, conversation_id: str, window: int) -> Thread:
    found = Conversation.totalled(user_id, conversation_id)
    rows = Message.shown_branch(found.head_id, window + 1)
    messages = [_shown(*row) for row in rows[-window:]]
    saved = budget.prices.saved(found.cached)
    # While a reply is written no other version can be chosen.
    choosable = messages and found.has_versions and messages[-1].state != State.STREAMING
    branch = [row[:2] for row in rows[-window:]]
    return Thread(
        _entry(found),
        messages,
        len(rows) > window,
        Totals(found.prompt, found.cached, found.completion, found.micro_yuan, saved),
        budget.today(user_id),
        branches.versions(found.id, branch) if choosable else [],
    )


def _rename(user_id: int, conversation_id: str, title: str) -> None:
    conversation = Conversation.of(user_id, conversation_id)
    Conversation.update(title=title).where(Conversation.id == conversation.id).execute()


def _entry(row: Any) -> Entry:
    return Entry(str(row.id), row.title, row.updated_at, bool(row.turn_is_running), row.memory_kind)


def _shown(
    id: int, _parent: Any, role: str, content: str, thought: str, state: str, error: str,
    notes: str, *more: Any,
) -> Shown:  # fmt: skip
    return Shown(id, role, content, thought, state, error, tuple(notes.split()), *more)


def is_message_id(told: str) -> bool:
    """Whether this can be the id of a message: so many digits fit into the database's integers."""
    return told.isascii() and told.isdecimal() and len(told) <= ID_DIGITS
