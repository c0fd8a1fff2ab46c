"""What happens on each event of the page: values in, values out.

Handlers know the service and the accounts, never the tables, never Ark. None of them starts work
of its own: a reply belongs to the server, and the generators here only follow it. Inputs come as
the browser sent them, so anything may stand in the place of a text.
"""

import html
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from chatbot.accounts import Accounts
from chatbot.catalog import OFFLINE_MODEL, label_of
from chatbot.errors import ChangedElsewhere, ConversationNotFound, SearchNotDone, SearchReplaced
from chatbot.send_rate import SendRateLimit
from chatbot.service import LIST_LIMIT, ChatService, is_message_id
from chatbot.ui.listing import MAX_LISTED, Listing, listing
from chatbot.ui.render import Kept
from chatbot.ui.texts import Language, text
from chatbot.ui.transcript import GrowingReply, status_line, thread_messages
from chatbot.ui.viewers import Viewers
from chatbot.ui.visit import Visit, for_anyone, for_user
from chatbot.views import StartedReply, Thread

WINDOW = 30
"""Messages shown at first: what a frame costs in the browser grows with the messages on the page.
How many are shown by now is the page's to say."""
MAX_WINDOW = 1_000
FRAME_SECONDS = 0.05

UNCHANGED = gr.skip()
"""What a component is sent that is to stay as it is."""

NEW = "new"
"""Wanted by a page in the place of a session: see `scripts/opening.js`."""

Frame = tuple[list[Any] | dict[str, str], str | dict[str, str], str]
"""Chatbot, status and signal, as plain values. A frame holds no `gr.update` and no `gr.skip`:
Gradio builds a component anew for each of them, which costs more than the rest of the frame."""
Signal = dict[str, Any]
"""What a frame says to the page beside what it shows; empty for nothing."""


@dataclass(frozen=True)
class Asked:
    """What somebody has just asked for in this tab."""

    reply: StartedReply
    search: str
    """What stands in the search box of the sessions."""
    question: str = ""
    """What comes back to the prompt if not one word of an answer comes."""

    def signal(self) -> Signal:
        return {"sent": self.reply.reply_id, "search": self.search}


class Handlers:
    """The page's event handlers, for all people and tabs."""

    def __init__(
        self, service: ChatService, accounts: Accounts, sends: SendRateLimit, *, model: str
    ) -> None:
        self.service = service
        self.accounts = accounts
        self._sends = sends
        self._viewers = Viewers()
        self._kept = Kept()
        self._model = model

    @for_anyone
    async def view(self, visit: Visit, wanted: str | None, window: int) -> AsyncIterator[Any]:
        """Who is here decides which half of the page is seen; then their session, as `follow` does.

        In one event: on a slow network the second would cost two more ways there and back.
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
        """`select_session`, also for somebody who is not logged in any more."""
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
        """The list again, up to so many, with the open conversation kept in it; of a search, titles
        first, and how many were found."""
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
        """Start a conversation, or take the unused one; the search is cleared."""
        started = await self.service.start_conversation(visit.user_id)
        chosen, listed = await self._opened(visit, started)
        return gr.update(choices=listed.choices, value=chosen), "", listed.plain

    @for_user
    async def open_session(self, visit: Visit, wanted: str, window: int) -> AsyncIterator[Any]:
        """Open the conversation of an address, as `view` does, and show it."""
        chosen, listed = await self._opened(visit, str(wanted or ""))
        place: tuple[Any, ...] = (
            {"__type__": "update", "choices": listed.choices, "value": chosen}, "", listed.plain,
        )  # fmt: skip
        async with aclosing(self._frames(visit, chosen, window)) as frames:
            async for frame in frames:
                if frame[0] is UNCHANGED:
                    # Another one was asked for meanwhile.
                    place = (UNCHANGED,) * 3
                yield *place, *frame
                place = (UNCHANGED,) * 3

    @for_user
    async def select_session(
        self, visit: Visit, conversation_id: str | None, window: int
    ) -> AsyncIterator[Frame]:
        """Show a conversation and follow the reply that is being written in it, if any."""
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
    ) -> AsyncIterator[Any]:
        """Send the question and follow the reply; None is the second click of a double click.

        The box is emptied by the signal, once the question is stored; a refused question stays
        in it, and one that got no word of an answer comes back.
        """
        if question is None:
            yield gr.skip()
            return
        asked = await self._send(visit, conversation_id, search, str(question))
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
        """Ask an earlier question in other words, and follow the reply.

        Raises `ChangedElsewhere` unless the edit was begun in this conversation, and nothing was
        asked or taken back in it since it was shown.
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
        """Have the newest question answered again, and follow the reply."""
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
        """Take the newest turn back; its question returns to the box."""
        question = await self.service.undo(visit.user_id, conversation_id or "", _message_id(shown))
        signal = {"undone": shown, "returned": question}
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
    ) -> AsyncIterator[Frame]:
        """Go on with the newest reply, which ended early: the only option there is."""
        self._sends.take(visit.user_id, visit.address)
        reply = await self.service.go_on(visit.user_id, conversation_id or "", _message_id(shown))
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
        """Show the version before or after that of a message, and what followed it."""
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
        """Stop the reply; its followers, in every tab, see that it ended."""
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
        """Delete for good and show the newest conversation that is left."""
        await self.service.delete(visit.user_id, conversation_id or "")
        chosen, listed = await self._opened(visit, None)
        shown = gr.update(choices=listed.choices, value=chosen)
        return gr.update(visible=False), shown, "", listed.plain

    async def _send(
        self, visit: Visit, conversation_id: str | None, search: str, question: str
    ) -> Asked:
        self._sends.take(visit.user_id, visit.address)
        reply = await self.service.send(visit.user_id, conversation_id or "", question)
        return Asked(reply, search, question)

    async def _frames(
        self,
        visit: Visit,
        conversation_id: str | None,
        window: int,
        asked: Asked | None = None,
        signal: Signal | None = None,
    ) -> AsyncGenerator[Frame]:
        """The frames of a conversation until nothing grows any more, for as long as this tab looks
        at it; each with the signal.

        Who has just `asked` is sent the list of sessions as well, at the end, and early on when a
        session is given its title. An event of its own would take the server a fifth of what the
        whole turn takes.
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
            if asked and not thread.messages[-1].content:
                signal["returned"] = asked.question
            if not view.superseded:
                yield shown, status, _json(signal)
            if asked and not view.superseded:
                signal |= await self._list_after(visit, asked)
            if view.superseded:
                # Gradio sends the last frame again at the end, and it must not be drawn over what
                # this tab shows by then.
                yield UNCHANGED, UNCHANGED, ""
            elif asked:
                yield shown, status, _json(signal)

    async def _drawn(self, visit: Visit, thread: Thread) -> tuple[list[Any], str]:
        """The messages of a conversation and the line below the prompt, as the page gets them."""
        shown = await thread_messages(thread, visit.language, visit.zone, self._kept)
        return shown, status_line(thread, visit.language)

    async def _list_after(self, visit: Visit, asked: Asked) -> Signal:
        """The list of sessions as it is now, for a signal; without one it stays as it is."""
        with suppress(SearchNotDone):
            listed, _ = await self._found(visit, asked.search, asked.reply.conversation_id)
            return {"sessions": listed.choices, "recent": listed.plain}
        return {}

    def _name(self, language: Language) -> str:
        """What the model is called where people are greeted: never the id of an endpoint."""
        if self._model == OFFLINE_MODEL:
            return text("offline_model", language)
        return label_of(self._model) or text("unnamed_model", language)

    async def _opened(self, visit: Visit, wanted: str | None) -> tuple[str, Listing]:
        """The conversation to open, and the list. Without a wanted one it is the newest; for one
        that is not there, or somebody else's, it is a new one."""
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
        """What a search finds, with the open conversation in any case; and how many were found."""
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
    """How many sessions a search has found."""
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
    """As many messages as the page wants to show, within bounds."""
    return min(max(told, 1), MAX_WINDOW) if isinstance(told, int) else WINDOW


def _message_id(told: object) -> int:
    if not is_message_id(str(told)):
        raise ChangedElsewhere()
    return int(str(told))
