"""Builds the page from its parts and wires every event of the app."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from chatbot.errors import FileNotRead, TooManyAttachments
from chatbot.ui import texts
from chatbot.ui.account import AccountPanel, account_panel
from chatbot.ui.admin_page import AdminHandlers, AdminPanel, admin_panel
from chatbot.ui.frames import page_class
from chatbot.ui.handlers import WINDOW, Handlers
from chatbot.ui.option_bar import option_bar
from chatbot.ui.panels import ChatPanel, LoginPanel, Sidebar, chat_panel, login_panel, sidebar


class FileLimits(NamedTuple):
    """What the page says before the server does."""

    files: int
    """In one message."""
    megabytes: int


DEFAULT_LIMITS = FileLimits(4, 20)
HERE = Path(__file__).parent
TITLE = "Doubao Chat"
DESCRIPTION = "Ask, write, code: chat with Doubao · 和豆包聊聊：问答、写作、编程"
SCRIPTS = [
    "page.js",
    *(
        f"scripts/{noun}.js"
        for noun in (
            "watch", "spoken", "notice", "opening", "copy", "code", "scroll", "focus", "connection",
            "edit", "search", "drafts", "echo", "earlier", "versions", "address", "hits", "drawer",
            "sessions", "recent", "banner", "forms", "faults", "wide", "pause", "host", "admin",
            "options", "files", "clicks",
        )
    ),
    "account.js",
]  # fmt: skip
"""The order matters: each script extends `window.chatbot` from the scripts before it."""
STYLES = ["style.css", "sidebar.css", "messages.css", "options.css", "files.css"]
I18N = gr.I18n(
    en={**texts.labels("en"), "option_bar": option_bar("en")},
    zh={**texts.labels("zh"), "option_bar": option_bar("zh")},
)

JS_LOG_IN = "async (name, password) => [await chatbot.enter('login', {name, password}), '']"
JS_REGISTER = """async (name, password, invite) =>
  [await chatbot.enter('register', {name, password, invite}), '']"""
JS_REFUSED = "(messages, typed) => chatbot.refused(messages, typed)"
JS_TURN = "(id, search) => chatbot.sessions.turnTo(id, search)"
JS_RENAMED = """(title) => {
  chatbot.address.called(title);
  chatbot.drawer.close();
  chatbot.focus.prompt();
}"""
JS_LOG_OUT = "async () => { await chatbot.leave(); }"


def build(handle: Handlers, admins: AdminHandlers, notices: Sequence[str]) -> gr.Blocks:
    """Build the whole page with all events; `notices` are labels to show on top."""
    page = page_class()
    with page(title=TITLE, fill_height=True, fill_width=True, analytics_enabled=False) as demo:
        login = login_panel(I18N, TITLE, notices)
        with gr.Row(visible=False, elem_id="chat-view", equal_height=True) as chat_view:
            side = sidebar(I18N, TITLE)
            chat = chat_panel(I18N, notices)
            account = account_panel(I18N)
        admin = admin_panel(I18N)
        wires = _Wires(handle, demo, login, chat_view, side, chat)
        wires.log_in()
        wires.change_session()
        wires.list_sessions()
        wires.ask()
        wires.act_on_messages()
        _wire_account(side, account)
        _wire_admin(admins, chat_view, side, admin)
    return demo


# No part shows progress. With each frame of an event Gradio's page copies the state of all parts
# that ever did, hidden or not, and of what is in them: half of its work for a reply.
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress_on": []}
CHECKED: dict[str, Any] = {**PRIVATE, "show_progress": "hidden", "concurrency_limit": None}
"""Gradio checks the inputs against their components."""
# `preprocess` takes a thread per input, and it accepts only sessions that it has sent to this page,
# so an open page would fail after a restart. The service checks sessions.
QUIET: dict[str, Any] = {**CHECKED, "preprocess": False}
MANY: dict[str, Any] = {**QUIET, "trigger_mode": "multiple"}
"""Each event is taken, also while the one before it runs."""
PAGE_ONLY: dict[str, Any] = {**PRIVATE, "fn": None}
"""Nothing is sent to the server."""


class _Wires:
    """The events of the login page and of the chat.

    Gradio starts the next listener of an event only after the one before has sent all its frames,
    so listeners that run in the page alone come first.
    """

    def __init__(
        self,
        handle: Handlers,
        demo: gr.Blocks,
        login: LoginPanel,
        chat_view: gr.Row,
        side: Sidebar,
        chat: ChatPanel,
    ) -> None:
        self.handle, self.demo, self.login = handle, demo, login
        self.chat_view, self.side, self.chat = chat_view, side, chat
        self.chosen = side.conversations
        # Owned by the page: how many messages it shows.
        self.window = gr.Number(WINDOW, visible=False)
        self.wanted = gr.Textbox(visible=False)
        self.frame = [chat.chatbot, chat.status, chat.signal]
        self.place = [self.chosen, self.window, side.search]
        self.turn: dict[str, Any] = {"outputs": self.frame, "postprocess": False, **MANY}
        """What starts a reply."""
        self.show: dict[str, Any] = {"inputs": [self.chosen, self.window], **self.turn}
        self.follow: dict[str, Any] = {"fn": handle.follow, **self.show}
        self.refused: dict[str, Any] = {
            "js": JS_REFUSED,
            "inputs": [chat.chatbot, chat.prompt],
            "outputs": [chat.chatbot, chat.prompt],
            **PAGE_ONLY,
        }

    def log_in(self) -> None:
        """Open the page, log in and register."""
        login, side = self.login, self.side
        view: dict[str, Any] = {
            "fn": self.handle.view,
            "js": "(_, window) => [chatbot.opening.wanted(), window]",
            "inputs": [self.wanted, self.window],
            "outputs": [
                login.view, self.chat_view, side.admin, side.account, self.chosen, side.recent,
                *self.frame,
            ],
            "postprocess": False,
            **QUIET,
        }  # fmt: skip
        self.demo.load(**view)
        self.demo.load(
            **PAGE_ONLY, js="() => chatbot.arrived()", outputs=[login.invitation, login.error]
        )
        # Enter clicks this button, too: `scripts/forms.js`.
        login.log_in.click(
            **PAGE_ONLY,
            js=JS_LOG_IN,
            inputs=[login.login_name, login.login_password],
            outputs=[login.error, login.login_password],
        ).then(**view)
        login.register.click(
            **PAGE_ONLY,
            js=JS_REGISTER,
            inputs=[login.register_name, login.register_password, login.invitation],
            outputs=[login.error, login.register_password],
        ).then(**view)

    def change_session(self) -> None:
        """Start, choose and leave a session, by list, address or button."""
        handle, side, chat, chosen = self.handle, self.side, self.chat, self.chosen
        rows = [side.rename_row, side.delete_row]
        turned = [*rows, self.window]
        start: list[Any] = [side.start.click, side.start_on_phone.click]
        gr.on(
            [side.cancel_title.click, side.cancel_delete.click],
            **PAGE_ONLY,
            js="() => chatbot.sessions.closeRows()",
            outputs=rows,
        )
        gr.on(start, **PAGE_ONLY, js="() => chatbot.sessions.start()", outputs=turned)
        side.come_back.click(**PAGE_ONLY, js="() => chatbot.sessions.turn()", outputs=turned)
        chosen.select(**PAGE_ONLY, js=JS_TURN, inputs=[chosen, side.search], outputs=turned)
        chosen.select(handle.select_session, **self.show)
        side.go.click(
            **PAGE_ONLY,
            js="(search) => chatbot.recent.goTo(search)",
            inputs=[side.search],
            outputs=[chosen, *turned],
        ).then(handle.select_session, **self.show)
        side.come_back.click(
            handle.open_session,
            js="(_, window) => [chatbot.address.pending(), window]",
            inputs=[side.wanted, self.window],
            outputs=[chosen, side.search, side.recent, *self.frame],
            postprocess=False,
            **MANY,
        ).failure(**PAGE_ONLY, js="() => chatbot.address.refused()")
        chosen.change(
            **PAGE_ONLY,
            js="(id, typed) => chatbot.remember(id, typed)",
            inputs=[chosen, chat.prompt],
            outputs=[chat.prompt],
        )
        gr.on(start, handle.new_session, None, [chosen, side.search, side.recent], **QUIET).then(
            **self.follow
        )

    def list_sessions(self) -> None:
        """Search the list, rename, delete and export a session."""
        handle, side, chosen = self.handle, self.side, self.chosen
        sessions: dict[str, Any] = {
            "fn": handle.sessions,
            "inputs": [side.search, chosen, side.listed],
            "outputs": [chosen, side.recent, side.found],
            **QUIET,
        }
        rename: dict[str, Any] = {
            "fn": handle.rename,
            "inputs": [chosen, side.title, side.search],
            "outputs": [side.rename_row, chosen, side.recent],
            **QUIET,
        }
        side.export.click(**PAGE_ONLY, js="(id) => { chatbot.save(id); }", inputs=[chosen])
        # Gradio sends `input` for key presses only, not for input methods, pasting or deleting.
        side.search.change(trigger_mode="always_last", **sessions).then(
            **PAGE_ONLY, js="() => chatbot.sessions.changed()"
        )
        side.more.click(js="(search, id) => chatbot.recent.asked(search, id)", **sessions)
        side.rename.click(
            handle.ask_rename, [chosen], [side.rename_row, side.delete_row, side.title], **QUIET
        )
        gr.on([side.save_title.click, side.title.submit], **rename).success(
            **PAGE_ONLY, js=JS_RENAMED, inputs=[side.title]
        )
        side.delete.click(
            handle.ask_delete, [chosen], [side.delete_row, side.rename_row, side.delete_question],
            **QUIET,
        )  # fmt: skip
        side.confirm_delete.click(
            handle.delete,
            js="(id) => (chatbot.address.over(), chatbot.drawer.close(), [id])",
            inputs=[chosen],
            outputs=[side.delete_row, chosen, side.search, side.recent],
            **QUIET,
        ).then(**self.follow)

    def ask(self) -> None:
        """Send a question, show it at once, take what comes with the frames, and stop."""
        handle, side, chat, chosen = self.handle, self.side, self.chat, self.chosen
        chat.prompt.submit(
            handle.send,
            js="(...inputs) => chatbot.asking(...inputs)",
            inputs=[*self.place, chat.prompt, chat.files],
            **self.turn,
        ).failure(**self.refused)
        chat.echo.click(
            **PAGE_ONLY,
            js="(messages, typed) => chatbot.echo.shown(messages, typed)",
            inputs=[chat.chatbot, chat.prompt],
            outputs=[chat.chatbot, chat.prompt],
        )
        chat.signal.change(
            **PAGE_ONLY,
            js="(signal, typed) => chatbot.typed(signal, typed)",
            inputs=[chat.signal, chat.prompt],
            outputs=[chat.prompt],
        )
        chat.signal.change(
            **PAGE_ONLY,
            js="(signal, id, search) => chatbot.listed(signal, id, search)",
            inputs=[chat.signal, chosen, side.search],
            outputs=[chosen, side.recent],
        )
        # Not with `MANY`: ignore a second click while the first event runs.
        chat.chatbot.example_select(
            handle.send_example,
            self.place,
            self.frame,
            js="(...place) => chatbot.example(place)",
            postprocess=False,
            **QUIET,
        ).failure(**self.refused)
        chat.prompt.stop(handle.stop, [chosen], js="(id) => (chatbot.focus.prompt(), [id])", **MANY)
        chat.newest.click(**PAGE_ONLY, js="() => chatbot.scroll.toEnd()")

    def act_on_messages(self) -> None:
        """Regenerate, undo, continue, edit, choose a version, show earlier messages.

        What is refused because another tab has changed the session is shown in its current state.
        """
        handle, chat = self.handle, self.chat
        with_shown: dict[str, Any] = {
            "js": "(...place) => chatbot.acting(place)",
            "inputs": [*self.place, chat.shown],
            **self.turn,
        }
        chat.chatbot.retry(handle.regenerate, **with_shown).failure(**self.follow)
        chat.chatbot.undo(handle.undo, **with_shown).failure(**self.follow)
        chat.chatbot.option_select(handle.choose_option, **with_shown).failure(**self.follow)
        edited = chat.edit_send.click(
            handle.edit,
            js="(id, window, search) => chatbot.edit.taken(id, window, search)",
            inputs=[*self.place, chat.shown, chat.edit_place, chat.edit_question, chat.edit_words],
            **self.turn,
        )
        edited.failure(**PAGE_ONLY, js="() => chatbot.edit.refused()")
        edited.failure(**self.follow)
        chat.version_go.click(
            handle.show_version,
            js="(id, shown) => chatbot.versions.taken(id, shown)",
            inputs=[self.chosen, self.window, chat.version_of, chat.version_step],
            **self.turn,
        )
        chat.earlier.click(
            **PAGE_ONLY,
            js="(shown) => chatbot.earlier.more(shown)",
            inputs=[self.window],
            outputs=[self.window],
        ).then(**self.follow)


def _wire_account(side: Sidebar, page: AccountPanel) -> None:
    all_of_it = [
        page.view, page.current_password, page.new_password, page.password_told, page.export_told,
        page.delete_password, page.delete_told,
    ]  # fmt: skip
    side.open_account.click(**PAGE_ONLY, js="() => chatbot.account.open()", outputs=all_of_it)
    leave: list[Any] = [side.log_out.click, page.log_out.click]
    gr.on(leave, **PAGE_ONLY, js=JS_LOG_OUT)
    gr.on(
        [
            page.close.click, side.conversations.select, side.start.click,
            side.start_on_phone.click, side.go.click, side.come_back.click, *leave,
        ],
        **PAGE_ONLY,
        js="() => chatbot.account.close()",
        outputs=all_of_it,
    )  # fmt: skip
    page.change_password.click(
        **PAGE_ONLY,
        js="(current, next) => chatbot.account.changePassword(current, next)",
        inputs=[page.current_password, page.new_password],
        outputs=[page.password_told, page.current_password, page.new_password],
    )
    page.end_others.click(**PAGE_ONLY, js="() => { chatbot.account.endOthers(); }")
    page.export.click(
        **PAGE_ONLY, js="() => chatbot.account.exportAll()", outputs=[page.export_told]
    )
    page.delete.click(
        **PAGE_ONLY,
        js="(password) => chatbot.account.remove(password)",
        inputs=[page.delete_password],
        outputs=[page.delete_told, page.delete_password],
    )


def _wire_admin(handle: AdminHandlers, chat_view: gr.Row, side: Sidebar, page: AdminPanel) -> None:
    views = [chat_view, page.view]
    side.admin.click(handle.open_admin, None, [*views, *page.shown], **CHECKED)
    page.close.click(handle.close_admin, None, views, **CHECKED)
    page.paused.input(handle.pause, [page.paused], page.shown, **CHECKED)
    page.act.click(
        handle.act,
        js="() => chatbot.admin.taken()",
        inputs=[page.what, page.row, page.tokens],
        outputs=[page.told, *page.shown],
        **CHECKED,
    )
    page.invite.click(
        handle.invite, [page.uses, page.days, page.tokens_each], [page.invited, *page.shown],
        **CHECKED,
    ).then(
        **PAGE_ONLY,
        js="(link) => chatbot.invitationLink(link)",
        inputs=[page.invited],
        outputs=[page.invited],
    )  # fmt: skip


def head(files: FileLimits = DEFAULT_LIMITS) -> str:
    """The scripts for the page's head, with the texts and the limits of files they need."""
    keys = (
        "no_connection", "cookies_blocked", "cookies_off", "open_in_tab", "send_label",
        "stop_label", "password_changed", "wrong_password", "login_this", "login_since",
        "login_seen", "login_end", "unknown_browser", "edit_label", "edit_cancel", "edit_send",
        "connection_lost", "login_ended", "not_opened", "wrap_lines", "copy_code", "author_user",
        "author_bot", "answering", "sessions_label", "conversation", "messages", "ask_label",
        "copy_label", "session_gone", "hits_before", "hits_next", "hits_close", "untitled",
        "copy_link", "proxy_hint", "sure", "thinking_off", "thinking_on", "thinking_low",
        "thinking_medium", "thinking_high", "no_pictures", "files_waiting", "file_list",
        "file_unnamed", "drop_here",
    )  # fmt: skip
    languages: tuple[texts.Language, ...] = ("en", "zh")
    table = {key: {lang: texts.text(key, lang) for lang in languages} for key in keys}
    # The browser fills in the places.
    for key, places in (
        ("hits_count", ("now", "all")), ("file_remove", ("name",)), ("file_loading", ("name",)),
        ("file_too_big", ("name",)), ("pdf_pages", ("pages",)),
    ):  # fmt: skip
        kept = {place: f"{{{place}}}" for place in places}
        table[key] = {lang: texts.text(key, lang, **kept) for lang in languages}
    refusals = {
        "too_many_files": TooManyAttachments(limit=files.files), "file_not_read": FileNotRead(),
    }  # fmt: skip
    for key, error in refusals.items():
        table[key] = {lang: texts.error_text(error, lang) for lang in languages}
    table["app"] = dict.fromkeys(languages, TITLE)
    page, *more = ((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS)
    # Escape `<`, because a `</script>` inside a string would end the script.
    spelled = json.dumps(table, ensure_ascii=False).replace("<", "\\u003c")
    page = page.replace("/*TEXTS*/ {}", spelled)
    limited = "".join(more).replace("/*LIMITS*/ {}", json.dumps(files._asdict()))
    return f"<script>{page}{limited}</script>"
