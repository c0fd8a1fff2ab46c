"""Builds the account page and returns its components. No events here.

`account.js` opens and closes it. It is in the page only while it is open, because Gradio copies
the data of every visible component with each frame of a reply.
"""

from dataclasses import dataclass

import gradio as gr

from chatbot.ui.panels import ALERT, Label, hints


@dataclass(frozen=True)
class AccountPanel:
    view: gr.Column
    close: gr.Button
    log_out: gr.Button
    """For phones, where the sidebar has no log-out button."""
    current_password: gr.Textbox
    new_password: gr.Textbox
    change_password: gr.Button
    password_told: gr.HTML
    end_others: gr.Button
    export: gr.Button
    export_told: gr.HTML
    delete_password: gr.Textbox
    delete: gr.Button
    delete_told: gr.HTML


def account_panel(label: Label) -> AccountPanel:
    """Build the sections: password, logins, data, log out and delete."""
    with gr.Column(visible=False, elem_id="account-view", scale=1) as view:
        with gr.Row(elem_id="account-head"):
            gr.HTML(label("account"), html_template="<h1>${value}</h1>", elem_id="account-title")
            log_out = gr.Button(label("log_out"), size="sm", elem_id="account-logout")
            close = gr.Button(label("back_to_chat"), size="sm", elem_id="account-close")
        with gr.Column(elem_classes="section"):
            _heading(label, "change_password", "change_password_hint")
            current_password = _password(label, "current_password", "current-password")
            new_password = _password(label, "next_password", "new-password")
            password_told = _told("password-told")
            change_password = gr.Button(
                label("change_password"), size="sm", variant="primary", elem_id="change-password"
            )
        with gr.Column(elem_classes="section"):
            _heading(label, "logins", "logins_hint")
            # `account.js` adds the rows.
            gr.HTML('<ul class="logins"></ul>', elem_id="account-logins")
            end_others = gr.Button(label("end_others"), size="sm", elem_id="end-others")
        with gr.Column(elem_classes="section"):
            _heading(label, "your_data", "your_data_hint")
            export_told = _told("export-told")
            export = gr.Button(label("export_all"), size="sm", elem_id="export-all")
        with gr.Column(elem_classes="section"):
            _heading(label, "delete_account", "delete_account_hint")
            delete_password = _password(label, "delete_password", "current-password")
            delete_told = _told("delete-told")
            delete = gr.Button(
                label("delete_my_account"), size="sm", variant="stop", elem_id="delete-account"
            )
    return AccountPanel(
        view,
        close,
        log_out,
        current_password,
        new_password,
        change_password,
        password_told,
        end_others,
        export,
        export_told,
        delete_password,
        delete,
        delete_told,
    )


def _heading(label: Label, title: str, hint: str) -> None:
    gr.HTML(label(title), html_template="<h2>${value}</h2>")
    gr.HTML(label(hint), html_template="<p>${value}</p>")


def _password(label: Label, key: str, autocomplete: str) -> gr.Textbox:
    return gr.Textbox(
        label=label(key),
        type="password",
        elem_id=key.replace("_", "-"),
        html_attributes=hints(autocomplete),
    )


def _told(elem_id: str) -> gr.HTML:
    return gr.HTML("", elem_id=elem_id, elem_classes="told", html_template=ALERT)
