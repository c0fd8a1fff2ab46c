"""Builds the parts of the page, one function per part. No events here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from chatbot.service import LIST_LIMIT
from chatbot.ui.listing import MAX_LISTED
from chatbot.ui.render.plain import DISPLAY_LEFT, DISPLAY_RIGHT, INLINE_LEFT, INLINE_RIGHT

Label = Callable[[str], Any]
"""Makes from a key of `texts.LABELS` a text that the browser shows in its language."""

# Screen readers read it when it changes; the style sheet hides it while it is empty.
ALERT = '<div role="alert">${value}</div>'
STATUS = '<div role="status">${value}</div>'
"""The same, but screen readers finish their sentence first."""
# Not `visible="hidden"`: Gradio shows such components when their view is hidden and shown again.
UNSEEN = ["unseen"]
"""Class of components for scripts only; the style sheet hides them."""


@dataclass(frozen=True)
class LoginPanel:
    view: gr.Column
    error: gr.HTML
    login_name: gr.Textbox
    login_password: gr.Textbox
    log_in: gr.Button
    register_name: gr.Textbox
    register_password: gr.Textbox
    invitation: gr.Textbox
    register: gr.Button


@dataclass(frozen=True)
class Sidebar:
    search: gr.Textbox
    found: gr.HTML
    """The number of sessions that a search has found."""
    conversations: gr.Dropdown
    recent: gr.HTML
    """The newest sessions, or the search hits, as a plain list."""
    go: gr.Button
    """Clicked by `scripts/recent.js`, for the session of a link."""
    come_back: gr.Button
    """Clicked by `scripts/address.js`, for the session of an address."""
    wanted: gr.Textbox
    more: gr.Button
    """Clicked by `scripts/recent.js`, for a longer list."""
    listed: gr.Number
    start: gr.Button
    start_on_phone: gr.Button
    rename: gr.Button
    export: gr.Button
    delete: gr.Button
    rename_row: gr.Column
    title: gr.Textbox
    save_title: gr.Button
    cancel_title: gr.Button
    delete_row: gr.Column
    delete_question: gr.HTML
    confirm_delete: gr.Button
    cancel_delete: gr.Button
    admin: gr.Button
    account: gr.HTML
    open_account: gr.Button
    log_out: gr.Button


@dataclass(frozen=True)
class ChatPanel:
    earlier: gr.Button
    chatbot: gr.Chatbot
    newest: gr.Button
    prompt: gr.Textbox
    status: gr.HTML
    signal: gr.Textbox
    """Tells the page's scripts how a question ended; see `page.js`."""
    shown: gr.Textbox
    """The id of the newest reply in this tab; `page.js` fills it in."""
    edit_send: gr.Button
    """Clicked by `scripts/edit.js`, which fills in the edit."""
    edit_place: gr.Textbox
    edit_question: gr.Textbox
    edit_words: gr.Textbox
    version_go: gr.Button
    """Clicked by `scripts/versions.js`, which fills in the wanted version."""
    version_of: gr.Textbox
    version_step: gr.Textbox
    echo: gr.Button
    """Clicked by `scripts/echo.js`."""
    files: gr.Textbox
    """The ids of the question's files; `scripts/files.js` fills it in."""


def login_panel(label: Label, name: str, notices: Sequence[str]) -> LoginPanel:
    """The card for visitors who are not logged in."""
    with gr.Column(visible=False, elem_id="auth-view") as view:
        gr.HTML(f'<h1 class="brand"><span class="mark"></span>{name}</h1>')
        gr.HTML(label("tagline"), elem_id="tagline")
        _banners(label, notices)
        error = gr.HTML("", elem_id="auth-error", html_template=ALERT)
        with gr.Tabs():
            with gr.Tab(label("log_in"), elem_id="login-tab"):
                login_name = gr.Textbox(
                    label=label("name"),
                    elem_id="login-name",
                    max_length=64,
                    # With one line it is an `input`, which password managers fill in.
                    max_lines=1,
                    html_attributes=hints("username"),
                )
                login_password = gr.Textbox(
                    label=label("password"),
                    type="password",
                    elem_id="login-password",
                    html_attributes=hints("current-password"),
                )
                log_in = gr.Button(label("log_in"), variant="primary", elem_id="login-submit")
            with gr.Tab(label("register"), elem_id="register-tab"):
                register_name = gr.Textbox(
                    label=label("new_name"),
                    elem_id="register-name",
                    max_length=64,
                    max_lines=1,
                    html_attributes=hints("username"),
                )
                register_password = gr.Textbox(
                    label=label("new_password"),
                    type="password",
                    elem_id="register-password",
                    html_attributes=hints("new-password"),
                )
                invitation = gr.Textbox(
                    label=label("invitation"),
                    elem_id="register-invite",
                    max_lines=1,
                    html_attributes=hints("off"),
                )
                register = gr.Button(
                    label("register"), variant="primary", elem_id="register-submit"
                )
    return LoginPanel(
        view,
        error,
        login_name,
        login_password,
        log_in,
        register_name,
        register_password,
        invitation,
        register,
    )


def sidebar(label: Label, name: str) -> Sidebar:
    """The list of conversations and the buttons for them. On a phone it is a drawer, opened from a
    bar above the conversation."""
    with gr.Row(elem_id="topbar"):
        gr.Button(label("open_drawer"), size="sm", elem_id="drawer-open")
        # Filled in by `scripts/address.js`.
        gr.HTML('<span class="title"></span>', elem_id="topbar-title")
        start_on_phone = gr.Button(label("new_session"), size="sm", elem_id="new-session-on-phone")
    with gr.Column(elem_id="sidebar", scale=0, min_width=0):
        with gr.Row(elem_id="sidebar-head"):
            gr.HTML(f'<div class="brand"><span class="mark"></span>{name}</div>')
            gr.Button(label("close_drawer"), size="sm", elem_id="drawer-close")
        start = gr.Button(label("new_session"), variant="primary", elem_id="new-session")
        search = gr.Textbox(
            label=label("search"),
            placeholder=label("search"),
            show_label=False,
            container=False,
            max_lines=1,
            elem_id="search-sessions",
            html_attributes=hints("off"),
        )
        conversations = gr.Dropdown(
            choices=[],
            label=label("sessions"),
            filterable=False,
            # Show all choices: `scripts/recent.js` loads more.
            num_choices_shown=MAX_LISTED,
            elem_id="session-list",
        )
        with gr.Row(elem_classes="tools"):
            rename = gr.Button(label("rename"), size="sm", elem_id="rename-session")
            export = gr.Button(label("export"), size="sm", elem_id="export-session")
            delete = gr.Button(label("delete"), size="sm", elem_id="delete-session")
        with gr.Column(visible=False, scale=0, elem_id="rename-row") as rename_row:
            title = gr.Textbox(
                label=label("new_title"),
                placeholder=label("new_title"),
                show_label=False,
                container=False,
                max_length=120,
                max_lines=1,
                elem_id="rename-title",
                html_attributes=hints("off"),
            )
            with gr.Row(elem_classes="choice"):
                cancel_title = gr.Button(label("cancel"), size="sm", elem_id="rename-cancel")
                save_title = gr.Button(
                    label("save"), size="sm", variant="primary", elem_id="rename-save"
                )
        with gr.Column(visible=False, scale=0, elem_id="delete-row") as delete_row:
            delete_question = gr.HTML(elem_id="delete-question")
            with gr.Row(elem_classes="choice"):
                cancel_delete = gr.Button(label("cancel"), size="sm", elem_id="delete-cancel")
                confirm_delete = gr.Button(
                    label("delete_for_good"), size="sm", variant="stop", elem_id="delete-confirm"
                )
        found = gr.HTML("", elem_id="search-told", html_template=STATUS)
        recent = gr.HTML("", elem_id="recent-sessions")
        go = gr.Button(elem_classes=UNSEEN, elem_id="session-go")
        come_back = gr.Button(elem_classes=UNSEEN, elem_id="session-back")
        more = gr.Button(elem_classes=UNSEEN, elem_id="session-more")
        wanted = gr.Textbox(visible=False)
        listed = gr.Number(LIST_LIMIT, visible=False)
        admin = gr.Button(label("admin"), size="sm", visible=False, elem_id="admin-open")
        with gr.Row(elem_id="account-row"):
            open_account = gr.Button(label("account"), size="sm", elem_id="account-open")
            account = gr.HTML(elem_id="account-name")
            log_out = gr.Button(label("log_out"), size="sm", elem_id="logout")
    return Sidebar(
        search=search,
        found=found,
        conversations=conversations,
        recent=recent,
        go=go,
        come_back=come_back,
        wanted=wanted,
        more=more,
        listed=listed,
        start=start,
        start_on_phone=start_on_phone,
        rename=rename,
        export=export,
        delete=delete,
        rename_row=rename_row,
        title=title,
        save_title=save_title,
        cancel_title=cancel_title,
        delete_row=delete_row,
        delete_question=delete_question,
        confirm_delete=confirm_delete,
        cancel_delete=cancel_delete,
        admin=admin,
        account=account,
        open_account=open_account,
        log_out=log_out,
    )


def chat_panel(label: Label, notices: Sequence[str]) -> ChatPanel:
    """The conversation, the prompt and the line below it."""
    with gr.Column(elem_id="conversation", scale=1):
        gr.HTML(
            label("conversation_title"),
            html_template="<h1>${value}</h1>",
            elem_id="conversation-title",
        )
        gr.HTML(
            label("paused_now"), html_template=STATUS, elem_id="paused-now", elem_classes="banner"
        )
        _banners(label, notices)
        earlier = gr.Button(label("earlier"), size="sm", elem_id="earlier-messages")
        chatbot = gr.Chatbot(
            elem_id="chatbot",
            show_label=False,
            container=False,
            scale=1,
            # The style sheet gives it the remaining height of the page.
            height="auto",
            min_height=0,
            layout="bubble",
            # `render` makes all HTML.
            allow_tags=False,
            buttons=["copy"],
            # Shows the pencil; `scripts/edit.js` handles it.
            editable="user",
            # `scripts/scroll.js` scrolls, unless the reader does.
            autoscroll=False,
            latex_delimiters=[
                {"left": DISPLAY_LEFT, "right": DISPLAY_RIGHT, "display": True},
                {"left": INLINE_LEFT, "right": INLINE_RIGHT, "display": False},
            ],
        )
        newest = gr.Button(label("to_newest"), size="sm", elem_id="to-newest")
        # Filled in by `scripts/files.js`.
        gr.HTML('<ul aria-live="polite"></ul>', elem_id="file-chips")
        prompt = gr.Textbox(
            elem_id="prompt",
            label=label("ask"),
            placeholder=label("ask"),
            show_label=False,
            container=False,
            lines=1,
            max_lines=8,
            submit_btn=True,
            # Both buttons exist at all times; the style sheet shows the one that applies.
            stop_btn=True,
            autofocus=True,
        )
        gr.HTML(label("option_bar"), elem_id="options")
        with gr.Row(elem_id="footnotes"):
            status = gr.HTML(elem_id="usage-line")
            gr.HTML(label("disclaimer"), elem_id="disclaimer")
        signal = gr.Textbox(elem_classes=UNSEEN, elem_id="signal")
        shown = gr.Textbox(visible=False)
        edit_send = gr.Button(elem_classes=UNSEEN, elem_id="edit-send")
        version_go = gr.Button(elem_classes=UNSEEN, elem_id="version-go")
        echo = gr.Button(elem_classes=UNSEEN, elem_id="echo")
        place, question, words, version_of, version_step, files = (
            gr.Textbox(visible=False) for _ in range(6)
        )
    return ChatPanel(
        earlier,
        chatbot,
        newest,
        prompt,
        status,
        signal,
        shown,
        edit_send,
        place,
        question,
        words,
        version_go,
        version_of,
        version_step,
        echo,
        files,
    )


def hints(autocomplete: str) -> gr.InputHTMLAttributes:
    """Attributes of a field that a browser may fill in and a phone must not "correct"."""
    return gr.InputHTMLAttributes(
        autocomplete=autocomplete, autocapitalize="none", autocorrect="off", spellcheck=False
    )


def _banners(label: Label, notices: Sequence[str]) -> None:
    for key in notices:
        gr.HTML(label(key), elem_classes=["banner", f"banner-{key.replace('_', '-')}"])
