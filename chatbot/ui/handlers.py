"""The event handlers of the page: values in, values out.

Handlers use the service and the accounts, never the tables or Ark. They start no work of their
own: a reply belongs to the server, and the generators here only follow it. Inputs come from the
browser and may be wrong.
"""

import html
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from chatbot.accounts import Accounts
from chatbot.catalog import Models
from chatbot.errors import ChangedElsewhere, ConversationNotFound, SearchNotDone, SearchReplaced
from chatbot.send_rate import SendRateLimit
from chatbot.service import LIST_LIMIT, ChatService, is_message_id
from chatbot.ui.answer_options import changes_of
from chatbot.ui.listing import MAX_LISTED, Listing, listing
from chatbot.ui.model_names import model_label
from chatbot.ui.render import Kept
from chatbot.ui.texts import Language, text
from chatbot.ui.transcript import GrowingReply, status_line, thread_messages
from chatbot.ui.viewers import Viewers
from chatbot.ui.visit import Visit, for_anyone, for_user
from chatbot.views import StartedReply, Thread

WINDOW = 30
"""Messages shown at first: the cost of a frame in the browser grows with the messages on the page.
The page says how many it shows now."""
MAX_WINDOW = 1_000
FRAME_SECONDS = 0.05

UNCHANGED = gr.skip()
"""The value for a component that does not change."""

NEW = "new"
"""A page requests this instead of a session id: see `scripts/opening.js`."""

Frame = tuple[list[Any] | dict[str, str], str | dict[str, str], str]
"""Chatbot, status and signal, as plain values. No `gr.update` and no `gr.skip`: Gradio builds a
new component for each of them, which costs more than the rest of the frame."""
Signal = dict[str, Any]
"""Extra data of a frame for the page's scripts; may be empty."""


@dataclass(frozen=True)
class Asked:
    """A reply that has just been started in this tab."""

    reply: StartedReply
    search: str
    """The text in the search box of the sessions."""
    question: str = ""
    """Put back into the prompt if no word of an answer comes."""

    def signal(self) -> Signal:
        return {"sent": self.reply.reply_id, "search": self.search}


class Handlers:
    """The page's event handlers, for all users and tabs."""

    def __init__(
        self, service: ChatService, accounts: Accounts, sends: SendRateLimit, models: Models
    ) -> None:
        self.service = service
        self.accounts = accounts
        self._sends = sends
        self._viewers = Viewers()
        self._kept = Kept()
        self._models = models

    @for_anyone
    async def view(self, visit: Visit, wanted: str | None, window: int) -> AsyncIterator[Any]:
        """Show the login or the chat page, then the user's session, as `follow` does.

        One event for both: on a slow network a second event would cost two more round trips.
        """
        login, chat = _visible(visit.person is None), _visible(visit.person is not None)
        if visit.person is None:
            nothing: dict[str, Any] = {**UNCHANGED, "choices": [], "value": None}
            yield login, chat, _visible(False), "", nothing, "", [], "", ""
            return
        if wanted == NEW:
            wanted = await self.service.start_conversation(visit.user_id)
        chosen, listed = await self._opened(visit, wanted)
        welcome = {
            **UNCHANGED,
            "value": [],
            "placeholder": text("welcome", visit.language, model=self._name(visit.language)),
            "examples": _examples(visit.language),
        }
        name, admin = html.escape(visit.person.name), _visible(visit.person.is_admin)
        sessions = {**UNCHANGED, "choices": listed.choices, "value": chosen}
        yield login, chat, admin, name, sessions, listed.plain, welcome, "", ""
        async with aclosing(self._frames(visit, chosen, window)) as frames:
            async for frame in frames:
                yield *(UNCHANGED,) * 6, *frame

    @for_anyone
    async def follow(
        self, visit: Visit, conversation_id: str | None, window: int
    ) -> AsyncIterator[Frame]:
        """`select_session`, also for a user who is no longer logged in."""
        if visit.person is None:
            yield [], "", ""
            return
        async with aclosing(self._frames(visit, conversation_id, window)) as frames:
            async for frame in frames:
                yield frame

    @for_anyone
    async def sessions(
        self, visit: Visit, search: str, chosen: str | None, many: int
    ) -> AsyncIterator[Any]:
        """The list of sessions, up to `many`, always with the open one. A search yields hits in
        titles first, then all hits, each with their number."""
        if visit.person is None:
            yield gr.skip()
            return
        search = str(search or "")
        searches = bool(search.strip())
        limit = min(max(many, 1), MAX_LISTED) if isinstance(many, int) else LIST_LIMIT
        for titles_only in (True, False) if searches else (False,):
            try:
                listed, count = await self._found(
                    visit, search, chosen, titles_only=titles_only, limit=limit
                )
            except SearchReplaced:
                yield gr.skip()
                return
            told = _found_text(count, limit, visit.language, is_done=not titles_only)
            yield gr.update(choices=listed.choices), listed.plain, told if searches else ""

    @for_user
    async def new_session(self, visit: Visit) -> tuple[Any, ...]:
        """Start a conversation, or open the unused one; clear the search."""
        started = await self.service.start_conversation(visit.user_id)
        chosen, listed = await self._opened(visit, started)
        return gr.update(choices=listed.choices, value=chosen), "", listed.plain

    @for_user
    async def open_session(self, visit: Visit, wanted: str, window: int) -> AsyncIterator[Any]:
        """Open and show the conversation of an address, as `view` does."""
        chosen, listed = await self._opened(visit, str(wanted or ""))
        place: tuple[Any, ...] = (
            {"__type__": "update", "choices": listed.choices, "value": chosen}, "", listed.plain,
        )  # fmt: skip
        async with aclosing(self._frames(visit, chosen, window)) as frames:
            async for frame in frames:
                if frame[0] is UNCHANGED:
                    # The user has chosen another session meanwhile.
                    place = (UNCHANGED,) * 3
                yield *place, *frame
                place = (UNCHANGED,) * 3

    @for_user
    async def select_session(
        self, visit: Visit, conversation_id: str | None, window: int
    ) -> AsyncIterator[Frame]:
        """Show a conversation and follow its running reply, if any."""
        async with aclosing(self._frames(visit, conversation_id, window)) as frames:
            async for frame in frames:
                yield frame

    @for_user
    async def send(
        self,
        visit: Visit,
        conversation_id: str | None,
        window: int,
        search: str,
        question: str | None,
        files: str,
    ) -> AsyncIterator[Any]:
        """Send the question with files (ids separated by spaces) and follow the reply.

        A question of None (second click of a double click) is ignored. The signal empties the box
        after the question is stored. A refused question stays in the box; a question without any
        answer text comes back.
        """
        if question is None:
            yield gr.skip()
            return
        sent = str(files or "").split()
        asked = await self._send(visit, conversation_id, search, str(question), sent)
        async with aclosing(self._frames(visit, conversation_id, window, asked)) as frames:
            async for frame in frames:
                yield frame

    @for_user
    async def send_example(
        self,
        visit: Visit,
        conversation_id: str | None,
        window: int,
        search: str,
        example: gr.SelectData,
    ) -> AsyncIterator[Frame]:
        """Send one of the example questions of an empty conversation."""
        question = str(example.value["text"])
        asked = await self._send(visit, conversation_id, search, question)
        async with aclosing(self._frames(visit, conversation_id, window, asked)) as frames:
            async for frame in frames:
                yield frame

    @for_user
    async def edit(
        self,
        visit: Visit,
        conversation_id: str | None,
        window: int,
        search: str,
        shown: str,
        begun_in: str,
        question_id: str,
        words: str,
    ) -> AsyncIterator[Frame]:
        """Send a new version of an earlier question and follow the reply.

        Raises `ChangedElsewhere` if the edit began in another conversation, or the conversation has
        changed since it was shown.
        """
        thread = await self.service.open(visit.user_id, conversation_id or "", 1)
        newest = [str(message.id) for message in thread.messages]
        if begun_in != thread.entry.id or newest != [str(shown)]:
            raise ChangedElsewhere()
        self._sends.take(visit.user_id, visit.address)
        reply = await self.service.edit(
            visit.user_id, thread.entry.id, _message_id(question_id), str(words)
        )
        asked = Asked(reply, search)
        async with aclosing(self._frames(visit, conversation_id, window, asked)) as frames:
            async for frame in frames:
                yield frame

    @for_user
    async def regenerate(
        self, visit: Visit, conversation_id: str | None, window: int, search: str, shown: str
    ) -> AsyncIterator[Frame]:
        """Answer the newest question again and follow the reply."""
        self._sends.take(visit.user_id, visit.address)
        reply = await self.service.regenerate(
            visit.user_id, conversation_id or "", _message_id(shown)
        )
        asked = Asked(reply, search)
        async with aclosing(self._frames(visit, conversation_id, window, asked)) as frames:
            async for frame in frames:
                yield frame

    @for_user
    async def undo(
        self, visit: Visit, conversation_id: str | None, window: int, search: str, shown: str
    ) -> AsyncIterator[Frame]:
        """Undo the newest turn; its question returns to the box."""
        before = await self.service.open(visit.user_id, conversation_id or "", 2)
        question = await self.service.undo(visit.user_id, conversation_id or "", _message_id(shown))
        signal = {"undone": shown, "returned": question, **await self._files_back(visit, before)}
        async with aclosing(self._frames(visit, conversation_id, window, signal=signal)) as frames:
            async for frame in frames:
                yield frame

    @for_user
    async def choose_option(
        self,
        visit: Visit,
        conversation_id: str | None,
        window: int,
        search: str,
        shown: str,
        option: gr.SelectData,
    ) -> AsyncIterator[Frame]:
        """Take an option under the newest reply: continue it, or answer again in another way."""
        self._sends.take(visit.user_id, visit.address)
        user, session, reply_id = visit.user_id, conversation_id or "", _message_id(shown)
        changes = changes_of(str(option.value))
        if changes is None:
            reply = await self.service.go_on(user, session, reply_id)
        else:
            reply = await self.service.answer_otherwise(user, session, reply_id, changes)
        asked = Asked(reply, search)
        async with aclosing(self._frames(visit, conversation_id, window, asked)) as frames:
            async for frame in frames:
                yield frame

    @for_user
    async def show_version(
        self,
        visit: Visit,
        conversation_id: str | None,
        window: int,
        message_id: str,
        step: str,
    ) -> AsyncIterator[Frame]:
        """Show the previous or next version of a message, with its continuation."""
        await self.service.show_version(
            visit.user_id,
            conversation_id or "",
            _message_id(message_id),
            -1 if step == "-1" else 1,
        )
        async with aclosing(self._frames(visit, conversation_id, window)) as frames:
            async for frame in frames:
                yield frame

    @for_user
    async def stop(self, visit: Visit, conversation_id: str | None) -> None:
        """Stop the reply; followers in all tabs see that it ended."""
        await self.service.stop(visit.user_id, conversation_id or "")

    @for_user
    async def ask_rename(self, visit: Visit, conversation_id: str | None) -> tuple[Any, ...]:
        entry = await self.service.entry(visit.user_id, conversation_id or "")
        return gr.update(visible=True), gr.update(visible=False), entry.title

    @for_user
    async def rename(
        self, visit: Visit, conversation_id: str | None, title: str, search: str
    ) -> tuple[Any, ...]:
        await self.service.rename(visit.user_id, conversation_id or "", str(title or ""))
        try:
            listed, _ = await self._found(visit, search, conversation_id)
        except SearchNotDone:
            return gr.update(visible=False), gr.skip(), gr.skip()
        return gr.update(visible=False), gr.update(choices=listed.choices), listed.plain

    @for_user
    async def ask_delete(self, visit: Visit, conversation_id: str | None) -> tuple[Any, ...]:
        entry = await self.service.entry(visit.user_id, conversation_id or "")
        title = entry.title or text("untitled", visit.language)
        question = text("confirm_delete", visit.language, title=html.escape(title))
        return gr.update(visible=True), gr.update(visible=False), question

    @for_user
    async def delete(self, visit: Visit, conversation_id: str | None) -> tuple[Any, ...]:
        """Delete the conversation permanently and show the newest remaining one."""
        await self.service.delete(visit.user_id, conversation_id or "")
        chosen, listed = await self._opened(visit, None)
        shown = gr.update(choices=listed.choices, value=chosen)
        return gr.update(visible=False), shown, "", listed.plain

    async def _send(
        self,
        visit: Visit,
        conversation_id: str | None,
        search: str,
        question: str,
        files: Sequence[str] = (),
    ) -> Asked:
        self._sends.take(visit.user_id, visit.address)
        reply = await self.service.send(visit.user_id, conversation_id or "", question, files)
        return Asked(reply, search, question)

    async def _frames(
        self,
        visit: Visit,
        conversation_id: str | None,
        window: int,
        asked: Asked | None = None,
        signal: Signal | None = None,
    ) -> AsyncGenerator[Frame]:
        """Yield frames of a conversation while its reply grows and this tab shows it; each with
        the signal.

        After a reply started here (`asked`), the signal also updates the list of sessions: at the
        end, and early when a session gets its title. A separate event would cost 20 % of the turn.
        """
        window = _window(window)
        open_thread = partial(self.service.open, visit.user_id, conversation_id or "", window)
        signal = asked.signal() if asked else signal or {}
        async with self._viewers.take((visit.user_id, visit.tab)) as view:
            thread = await open_thread()
            shown, status = await self._drawn(visit, thread)
            running = thread.running_reply
            if running is not None:
                growing = GrowingReply(visit.language)
                async with aclosing(
                    self.service.follow(visit.user_id, thread.entry.id, running.id, FRAME_SECONDS)
                ) as snapshots:
                    async for snapshot in snapshots:
                        if view.superseded:
                            break
                        reply = growing.messages(snapshot)
                        if reply is None:
                            continue
                        yield [*shown, *reply], status, _json(signal)
                        if asked and asked.reply.is_first and "sessions" not in signal:
                            signal |= await self._list_after(visit, asked)
                if not view.superseded:
                    thread = await open_thread()
                    shown, status = await self._drawn(visit, thread)
                # The list of sessions has changed with it: `listed` in `page.js`.
                signal = signal or {"ended": running.id}
            # None, if another tab has taken the turn back or deleted it.
            last = thread.messages[-1] if thread.messages else None
            if asked and last is not None and not last.content:
                signal["returned"] = asked.question
                signal |= await self._files_back(visit, thread)
            if not view.superseded:
                yield shown, status, _json(signal)
            if asked and not view.superseded:
                signal |= {"ended": asked.reply.reply_id} | await self._list_after(visit, asked)
            if view.superseded:
                # Gradio repeats the last frame at the end. It must not overwrite what this tab
                # shows by then.
                yield UNCHANGED, UNCHANGED, ""
            elif asked:
                yield shown, status, _json(signal)

    async def _files_back(self, visit: Visit, thread: Thread) -> Signal:
        """The files of the newest question, for a signal: they wait to be sent again, as the words
        come back into the prompt. Empty if it has none."""
        questions = [message for message in thread.messages if message.role == "user"]
        if not questions or not questions[-1].files:
            return {}
        session = thread.entry.id
        files = await self.service.give_back(visit.user_id, session, questions[-1].id)
        return {"session": session, "files": [file._asdict() for file in files]}

    async def _drawn(self, visit: Visit, thread: Thread) -> tuple[list[Any], str]:
        """The messages and the status line of a conversation, as the page gets them."""
        shown = await thread_messages(thread, visit.language, visit.zone, self._kept, self._models)
        return shown, status_line(thread, visit.language)

    async def _list_after(self, visit: Visit, asked: Asked) -> Signal:
        """The current list of sessions, for a signal; empty if the search was not finished."""
        with suppress(SearchNotDone):
            listed, _ = await self._found(visit, asked.search, asked.reply.conversation_id)
            return {"sessions": listed.choices, "recent": listed.plain}
        return {}

    def _name(self, language: Language) -> str:
        """The default model's name for the greeting, never an endpoint id."""
        return model_label(self._models.default, language)

    async def _opened(self, visit: Visit, wanted: str | None) -> tuple[str, Listing]:
        """The id of the conversation to open, and the list. If none is wanted: the newest. If the
        wanted one does not exist or belongs to another user: a new one."""
        kept = None
        entries = await self.service.list_conversations(visit.user_id)
        if wanted and all(entry.id != wanted for entry in entries):
            try:
                kept = await self.service.entry(visit.user_id, wanted)
                wanted = kept.id
                kept = None if kept in entries else kept
            except ConversationNotFound:
                wanted = await self.service.start_conversation(visit.user_id)
                entries = await self.service.list_conversations(visit.user_id)
        elif not entries:
            await self.service.start_conversation(visit.user_id)
            entries = await self.service.list_conversations(visit.user_id)
        more = len(entries) >= LIST_LIMIT
        listed = listing(entries, visit.language, visit.zone, kept=kept, more=more)
        return wanted or entries[0].id, listed

    async def _found(
        self,
        visit: Visit,
        search: str,
        chosen: str | None,
        *,
        titles_only: bool = False,
        limit: int = LIST_LIMIT,
    ) -> tuple[Listing, int]:
        """The list of search hits plus the open conversation, and the number of hits."""
        search = str(search or "")
        entries = await self.service.list_conversations(
            visit.user_id, search, titles_only=titles_only, limit=limit
        )
        kept = None
        if chosen and all(entry.id != chosen for entry in entries):
            with suppress(ConversationNotFound):
                kept = await self.service.entry(visit.user_id, chosen)
        listed = listing(
            entries,
            visit.language,
            visit.zone,
            kept=kept,
            more=len(entries) >= limit,
            found=bool(search.strip()),
        )
        return listed, len(entries)


def _json(signal: Signal) -> str:
    return json.dumps(signal) if signal else ""


def _found_text(count: int, limit: int, language: Language, *, is_done: bool) -> str:
    """A text with the number of sessions found."""
    if not count:
        return text("found_none" if is_done else "searching", language)
    if count == 1:
        return text("found_one", language)
    return text("found_many", language, count=f"{count}+" if count >= limit else count)


def _visible(yes: bool) -> dict[str, Any]:
    return {**UNCHANGED, "visible": yes}


def _examples(language: Language) -> list[dict[str, str]]:
    return [{"text": text(f"example_{number}", language)} for number in range(1, 5)]


def _window(told: object) -> int:
    """The number of messages that the page wants to show, within limits."""
    return min(max(told, 1), MAX_WINDOW) if isinstance(told, int) else WINDOW


def _message_id(told: object) -> int:
    if not is_message_id(str(told)):
        raise ChangedElsewhere()
    return int(str(told))
