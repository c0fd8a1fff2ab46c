"""The admin page: usage by user, invitations, errors, and the pause switch.

Every handler here requires the admin flag.
"""

import html
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from chatbot.accounts import Accounts
from chatbot.admin import Admin
from chatbot.errors import BadInput
from chatbot.ui.admin_tables import (
    errors_table,
    invitations_table,
    models_table,
    people_table,
)
from chatbot.ui.charts import day_chart, name_chart
from chatbot.ui.panels import UNSEEN, Label
from chatbot.ui.texts import text
from chatbot.ui.transcript import yuan
from chatbot.ui.visit import Visit, for_admin
from chatbot.views import DayRow

DAYS = 30
ERRORS = 50


@dataclass(frozen=True)
class AdminPanel:
    """The components; `shown` lists those that `refresh` fills, in order."""

    view: gr.Column
    close: gr.Button
    paused: gr.Checkbox
    summary: gr.HTML
    charts: gr.HTML
    people: gr.HTML
    told: gr.HTML
    act: gr.Button
    """Hidden: a button in a row was pressed; `what`, `row` and `tokens` say which."""
    what: gr.Textbox
    row: gr.Number
    tokens: gr.Number
    invitations: gr.HTML
    uses: gr.Number
    days: gr.Number
    tokens_each: gr.Number
    invite: gr.Button
    invited: gr.HTML
    errors: gr.HTML
    models: gr.HTML

    @property
    def shown(self) -> list[Any]:
        return [
            self.paused,
            self.summary,
            self.charts,
            self.people,
            self.invitations,
            self.errors,
            self.models,
        ]


def admin_panel(label: Label) -> AdminPanel:
    """The whole page; hidden until an admin opens it."""
    made: dict[str, Any] = {}
    with gr.Column(visible=False, elem_id="admin-view") as view:
        with gr.Row(elem_id="admin-head"):
            made["close"] = gr.Button(label("back"), size="sm", elem_id="admin-close")
            gr.HTML(label("admin"), html_template="<h1>${value}</h1>", elem_id="admin-title")
            made["summary"] = gr.HTML(elem_id="admin-summary")
            made["paused"] = gr.Checkbox(label=label("pause"), elem_id="admin-pause")
        with gr.Tabs():
            with gr.Tab(label("admin_use")):
                made["charts"] = gr.HTML(elem_id="admin-charts")
            with gr.Tab(label("admin_people")):
                _people(label, made)
            with gr.Tab(label("admin_invitations")):
                _invitations(label, made)
            with gr.Tab(label("admin_errors")):
                made["errors"] = gr.HTML(elem_id="admin-errors", elem_classes="table")
            with gr.Tab(label("admin_models")):
                made["models"] = gr.HTML(elem_id="admin-models", elem_classes="table")
        made["act"] = gr.Button(elem_classes=UNSEEN, elem_id="admin-act")
        made["what"] = gr.Textbox(visible=False)
        made["row"], made["tokens"] = (gr.Number(visible=False, precision=0) for _ in range(2))
    names = {field.name for field in fields(AdminPanel)} - {"view"}
    return AdminPanel(view=view, **{name: made[name] for name in names})


def _people(label: Label, made: dict[str, Any]) -> None:
    made["told"] = gr.HTML(elem_id="admin-told")
    made["people"] = gr.HTML(elem_id="admin-people", elem_classes="table")


def _invitations(label: Label, made: dict[str, Any]) -> None:
    with gr.Row():
        made["uses"] = gr.Number(label=label("admin_uses"), value=5, precision=0, minimum=1)
        made["days"] = gr.Number(label=label("admin_days"), value=7, minimum=0.01)
        made["tokens_each"] = gr.Number(label=label("admin_tokens"), precision=0, minimum=0)
    made["invite"] = gr.Button(label("admin_invite"), variant="primary", elem_id="admin-invite")
    made["invited"] = gr.HTML(elem_id="admin-invited")
    made["invitations"] = gr.HTML(elem_id="admin-invitations", elem_classes="table")


class AdminHandlers:
    """The event handlers of the admin page."""

    def __init__(self, admin: Admin, accounts: Accounts) -> None:
        self.admin = admin
        self.accounts = accounts

    @for_admin
    async def open_admin(self, visit: Visit) -> tuple[Any, ...]:
        return gr.update(visible=False), gr.update(visible=True), *await self._all(visit)

    @for_admin
    async def close_admin(self, visit: Visit) -> tuple[Any, ...]:
        return gr.update(visible=True), gr.update(visible=False)

    @for_admin
    async def pause(self, visit: Visit, on: bool) -> tuple[Any, ...]:
        await self.admin.pause(bool(on))
        return await self._all(visit)

    @for_admin
    async def act(self, visit: Visit, what: str, row: int, tokens: int | None) -> tuple[Any, ...]:
        """Do what a button in a row says; returns the updated page.

        `row` is the id of an invitation to revoke, the number of a model to switch, else the id of
        a user. A new password is shown once.
        Raises `BadInput` if there is no such button or row.
        """
        told = ""
        if what == "limit":
            await self.admin.set_limit(row, tokens)
        elif what == "revoke":
            await self.admin.revoke(row)
        elif what in ("model_on", "model_off"):
            await self.admin.switch_model(row, what == "model_on")
        elif what == "enable":
            await self.admin.set_disabled(row, False)
        elif what in ("disable", "reset") and row != visit.user_id:
            if what == "disable":
                await self.admin.set_disabled(row, True)
            else:
                told = f"<code>{html.escape(await self.admin.reset_password(row))}</code>"
        else:
            raise BadInput()
        return told, *await self._all(visit)

    @for_admin
    async def invite(
        self, visit: Visit, uses: int, days: float, tokens: int | None
    ) -> tuple[Any, ...]:
        """Create an invitation; its code is shown once."""
        code = await self.admin.invite(
            uses=int(uses or 1), days=float(days or 7), daily_tokens=tokens or None
        )
        link = f'<code class="invite-code">{html.escape(code)}</code>'
        return link, *await self._all(visit)

    async def _all(self, visit: Visit) -> tuple[Any, ...]:
        days = await self.admin.days(DAYS)
        people = await self.admin.people()
        invitations = await self.admin.invitations()
        codes = await self.admin.error_counts(DAYS)
        storage = await self.admin.storage_micro_yuan()
        return (
            await self.admin.paused(),
            _summary(days, storage, visit),
            _charts(days, codes, visit),
            people_table(people, visit),
            invitations_table(invitations, visit),
            errors_table(await self.admin.errors(ERRORS), visit),
            models_table(self.admin.models(), visit),
        )


def _summary(days: list[DayRow], storage: int, visit: Visit) -> str:
    today = days[-1]
    month = sum(day.micro_yuan for day in days)
    told = text(
        "admin_summary",
        visit.language,
        turns=today.turns,
        people=today.people,
        tokens=f"{today.prompt + today.completion:,}",
        yuan=yuan(today.micro_yuan),
        month=yuan(month),
        saved=yuan(sum(day.saved_micro_yuan for day in days)),
        storage=yuan(storage),
    )
    return html.escape(told)


def _charts(days: list[DayRow], codes: dict[str, int], visit: Visit) -> str:
    """Charts of the usage per day, and of the errors."""

    def say(key: str) -> str:
        return text(f"chart_{key}", visit.language)

    def by_day(
        key: str, parts: Callable[[DayRow], tuple[float, ...]], *kinds: str, **more: Any
    ) -> str:
        bars = [(day.day, parts(day)) for day in days]
        return day_chart(say(key), bars, say("nothing"), [say(kind) for kind in kinds], **more)

    return "".join(
        (
            by_day(
                "tokens",
                lambda day: (day.prompt - day.cached, day.cached, day.completion),
                "in", "in_cached", "out",
            ),
            by_day("cost", lambda day: (day.micro_yuan / 1_000_000,)),
            by_day(
                "cached", lambda day: (100 * day.cached / max(day.prompt, 1),), most=100
            ),
            by_day("people", lambda day: (day.people,)),
            by_day(
                "first",
                lambda day: (day.first_token_p50 or 0, day.first_token_p95 or 0),
                "p50", "p95", within=True,
            ),
            name_chart(say("errors"), codes, say("no_errors")),
        )
    )  # fmt: skip
