"""The functions of the chat page: a user's conversations, and turns in them.

A thin layer: it checks input, calls `storage` and `turns`, and returns plain views. Every call
takes the user; a conversation of another user is not found.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from chatbot.characters import storable
from chatbot.errors import (
    ConversationNotFound,
    EmptyMessage,
    FileTooLarge,
    MessageTooLong,
    TooManyAttachments,
)
from chatbot.files.names import download_name
from chatbot.files.reader import FileReader
from chatbot.searching import Searches
from chatbot.storage import attachments, conversations, erase, messages, turns
from chatbot.storage.attachments import Stored
from chatbot.storage.conversations import Listed, Totalled
from chatbot.storage.database import Storage
from chatbot.storage.search import conversations as search_words
from chatbot.storage.search import hit
from chatbot.storage.tables import State
from chatbot.storage.turn_values import Continue, Edit, Regenerate, Send, TurnRequest
from chatbot.turns.purse import Purse
from chatbot.turns.runner import Runner
from chatbot.views import Attached, Chosen, Entry, Snapshot, StartedReply, Thread, Totals

LIST_LIMIT = 100
TITLE_CHARS = 120
ID_DIGITS = 18
"""Numbers with this many digits fit into the database's integers."""
HIT_REACH = 1_000
"""Messages that are searched for a hit, from the end; a page shows no more."""
SHORT_WINDOW = 60
"""This many messages are read in one or two milliseconds; more are read on a thread."""
STORED_FRAME_SECONDS = 0.5
"""Seconds between two reads of a reply that runs in another process."""
WATCH_SECONDS = 10.0
"""How long a follower of another process's turn is recorded; renewed at half of this time."""
ASKED_SECONDS = 0.001
"""Time to send the request to Ark before the page is drawn, which needs the same processor."""
NOTHING = Snapshot("", "", (), True)
"""For a conversation that was emptied while somebody followed its reply."""


class ChatService:
    """The conversations of all users; every method works for one user, `user_id`."""

    def __init__(
        self,
        storage: Storage,
        runner: Runner,
        purse: Purse,
        *,
        max_input_chars: int,
        max_files: int = 4,
        reader: FileReader | None = None,
    ) -> None:
        self._storage = storage
        self._runner = runner
        self._purse = purse
        self._max_input_chars = max_input_chars
        self._max_files = max_files
        self._reader = reader or FileReader(max_mb=20, max_pages=30)
        self._searches = Searches()

    async def list_conversations(
        self,
        user_id: int,
        search: str = "",
        *,
        titles_only: bool = False,
        limit: int = LIST_LIMIT,
    ) -> list[Entry]:
        """Up to `limit` conversations, newest first; `search` looks in titles and messages.

        A search raises `SearchNotDone` if it takes too long, or if it waits and the same user
        starts another one.
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
        """The message that a search has found in a conversation, or None, and how many messages
        follow it. Raises `ConversationNotFound`."""
        found: tuple[int | None, int] = await self._storage.search(
            hit, user_id, conversation_id, search, HIT_REACH
        )
        return found

    async def start_conversation(self, user_id: int) -> str:
        """The id of an empty conversation; an unused one is reused."""
        return await self._storage.write(conversations.start, user_id)

    async def entry(self, user_id: int, conversation_id: str) -> Entry:
        """One conversation as the list shows it. Raises `ConversationNotFound`."""
        return _entry(await self._storage.read(conversations.listed, user_id, conversation_id))

    async def open(self, user_id: int, conversation_id: str, window: int) -> Thread:
        """The newest `window` messages. Raises `ConversationNotFound`."""
        look = self._storage.read_inline if window <= SHORT_WINDOW else self._storage.read
        return await look(_open, self._purse, self._runner, user_id, conversation_id, window)

    async def rename(self, user_id: int, conversation_id: str, title: str) -> None:
        """Set the title of the conversation; an empty title is ignored."""
        title = " ".join(storable(title).split())[:TITLE_CHARS]
        if not title:
            raise EmptyMessage()
        await self._storage.write(conversations.rename, user_id, conversation_id, title)

    async def delete(self, user_id: int, conversation_id: str) -> None:
        """Delete the conversation with all its messages, and at Ark as far as its API can.

        A running reply is stopped first. The turns keep their numbers.
        """
        await self.stop(user_id, conversation_id)
        refs = await self._storage.write(erase.conversation, user_id, conversation_id)
        self._runner.forget(refs)
        await self._storage.empty_log()

    async def choose(self, user_id: int, conversation_id: str, changes: dict[str, Any]) -> Chosen:
        """Change what the user chose for a conversation; returns what holds from the next question
        on. New sessions begin with the same model, thinking and search."""
        allowed = self._runner.choices.allowed(changes)
        stored = await self._storage.write(conversations.choose, user_id, conversation_id, allowed)
        return self._runner.choices.chosen(stored)

    async def send(
        self, user_id: int, conversation_id: str, text: str, files: Sequence[str] = ()
    ) -> StartedReply:
        """Store the question with files uploaded before, and start the reply, which runs in the
        background.

        Raises `EmptyMessage`, `MessageTooLong`, `ConversationNotFound`, `TurnRunning`,
        `TooManyTurns`, `TooManyAttachments`, `AttachmentNotFound`, `PicturesNotRead`,
        `StorageUnavailable`; nothing is stored then.
        """
        if len(files) > self._max_files:
            raise TooManyAttachments(limit=self._max_files)
        text = self._checked(text, may_be_empty=bool(files))
        return await self._start(user_id, conversation_id, Send(text, tuple(files)))

    async def edit(
        self, user_id: int, conversation_id: str, question_id: int, text: str
    ) -> StartedReply:
        """Send a new version of an earlier question; the old branch is kept. Raises like `send`."""
        request = Edit(question_id, self._checked(text))
        return await self._start(user_id, conversation_id, request)

    async def regenerate(self, user_id: int, conversation_id: str, reply_id: int) -> StartedReply:
        """Answer the newest question again; the old reply is kept as a version."""
        return await self._start(user_id, conversation_id, Regenerate(reply_id))

    async def answer_otherwise(
        self, user_id: int, conversation_id: str, reply_id: int, changes: dict[str, Any]
    ) -> StartedReply:
        """Change what the user chose, and answer the newest question again; both or nothing."""
        changes = self._runner.choices.allowed(changes)
        return await self._start(user_id, conversation_id, Regenerate(reply_id), changes)

    @property
    def largest_file(self) -> int:
        """Most bytes of an upload."""
        return self._reader.max_mb * 1024 * 1024

    def file_too_large(self) -> FileTooLarge:
        """The error that tells the limits of a file."""
        return self._reader.too_large()

    async def upload(
        self, user_id: int, conversation_id: str, name: str, content: bytes
    ) -> Attached:
        """Read a picture or PDF and store it until it is sent.

        Raises `ConversationNotFound`, `FileNotRead`, `FileTooLarge`, `TooManyAttachments`.
        """
        if not self._max_files:
            raise TooManyAttachments(limit=0)
        await self.entry(user_id, conversation_id)
        file = await self._reader.read(name, content)
        return await self.attach(user_id, conversation_id, file)

    async def attach(self, user_id: int, conversation_id: str, file: Stored) -> Attached:
        """Store a file that waits to be sent."""
        return await self._storage.write(attachments.add, user_id, conversation_id, file)

    async def give_back(
        self, user_id: int, conversation_id: str, question_id: int
    ) -> list[Attached]:
        """Copies of a question's files, which wait to be sent again."""
        return await self._storage.write(
            attachments.give_back, user_id, conversation_id, question_id
        )

    async def detach(self, user_id: int, attachment_id: str) -> None:
        """Delete a file that waits to be sent."""
        await self._storage.write(attachments.remove, user_id, attachment_id)

    async def attachment(self, user_id: int, attachment_id: str) -> tuple[str, Stored]:
        """A file with its content, and its name for a download. Raises `AttachmentNotFound` unless
        it belongs to the user."""
        file = await self._storage.read(attachments.content, user_id, attachment_id)
        return download_name(file.name, file.type), file

    async def go_on(self, user_id: int, conversation_id: str, reply_id: int) -> StartedReply:
        """Continue the newest reply, which ended early."""
        return await self._start(user_id, conversation_id, Continue(reply_id))

    async def undo(self, user_id: int, conversation_id: str, reply_id: int) -> str:
        """Remove the newest turn from view; returns its question. The turn stays as a version."""
        return await self._storage.write(messages.undo, user_id, conversation_id, reply_id)

    async def show_version(
        self, user_id: int, conversation_id: str, message_id: int, step: int
    ) -> None:
        """Show the version `step` places after a message, with its continuation."""
        await self._storage.write(messages.show_version, user_id, conversation_id, message_id, step)

    async def follow(
        self, user_id: int, conversation_id: str, reply_id: int, frame_seconds: float
    ) -> AsyncGenerator[Snapshot]:
        """Yield a running reply as it grows, from any process; the last snapshot is `done`."""
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
        """The source text of a message. Raises `ConversationNotFound`."""
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
        self,
        user_id: int,
        conversation_id: str,
        request: TurnRequest,
        changes: dict[str, Any] | None = None,
    ) -> StartedReply:
        turn = await self._runner.start(user_id, conversation_id, request, changes)
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

    def _checked(self, text: str, *, may_be_empty: bool = False) -> str:
        text = storable(text).strip()
        if not (text or may_be_empty):
            raise EmptyMessage()
        if len(text) > self._max_input_chars:
            raise MessageTooLong(length=len(text), limit=self._max_input_chars)
        return text


def _open(purse: Purse, runner: Runner, user_id: int, conversation_id: str, window: int) -> Thread:
    found = conversations.totalled(user_id, conversation_id)
    branch = messages.shown_branch(found.head_id, window + 1)
    shown = branch[-window:]
    if found.has_files:
        shown = messages.with_files(shown)
    # While a reply streams, no other version can be chosen.
    choosable = shown and found.has_versions and shown[-1].state != State.STREAMING
    return Thread(
        _entry(found),
        shown,
        len(branch) > window,
        Totals(
            found.prompt, found.cached, found.completion, found.micro_yuan, found.saved_micro_yuan
        ),
        purse.today(user_id),
        runner.choices.chosen(found.options),
        messages.versions(found.id, shown) if choosable else [],
    )


def _entry(row: Listed | Totalled) -> Entry:
    return Entry(str(row.id), row.title, row.updated_at, bool(row.turn_is_running), row.memory_kind)


def is_message_id(told: str) -> bool:
    """Whether this text can be the id of a message."""
    return told.isascii() and told.isdecimal() and len(told) <= ID_DIGITS
