"""The owner's page: what is used and by whom, invitations, errors, and the pause switch.

Every handler here is for accounts with the admin flag; nobody else gets a look or an answer.
"""

import html
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import gradio as gr
import pandas as pd

from chatbot.accounts import Accounts
from chatbot.owner import DayRow, InvitationRow, Owner, PersonRow
from chatbot.ui.charts import day_chart, name_chart
from chatbot.ui.panels import Label
from chatbot.ui.texts import reason_text, text
from chatbot.ui.transcript import clock_time, yuan
from chatbot.ui.visit import Visit, for_owner

DAYS = 30
ERRORS = 50


@dataclass(frozen=True)
class OwnerPanel:
    """The components; `shown` are those that `refresh` fills, in their order."""

    view: gr.Column
    close: gr.Button
    paused: gr.Checkbox
    summary: gr.HTML
    charts: gr.HTML
    people: gr.Dataframe
    person: gr.Dropdown
    limit: gr.Number
    set_limit: gr.Button
    disable: gr.Button
    enable: gr.Button
    reset: gr.Button
    told: gr.HTML
    invitations: gr.Dataframe
    uses: gr.Number
    days: gr.Number
    tokens_each: gr.Number
    invite: gr.Button
    invited: gr.HTML
    invitation: gr.Dropdown
    revoke: gr.Button
    errors: gr.Dataframe

    @property
    def shown(self) -> list[Any]:
        return [
            self.paused,
            self.summary,
            self.charts,
            self.people,
            self.person,
            self.invitations,
            self.invitation,
            self.errors,
        ]


def owner_panel(label: Label) -> OwnerPanel:
    """The whole page; hidden until an owner opens it."""
    made: dict[str, Any] = {}
    with gr.Column(visible=False, elem_id="owner-view") as view:
        with gr.Row(elem_id="owner-head"):
            made["close"] = gr.Button(label("back"), size="sm", elem_id="owner-close")
            made["summary"] = gr.HTML(elem_id="owner-summary")
            made["paused"] = gr.Checkbox(label=label("pause"), elem_id="owner-pause")
        with gr.Tabs():
            with gr.Tab(label("owner_use")):
                made["charts"] = gr.HTML(elem_id="owner-charts")
            with gr.Tab(label("owner_people")):
                _people(label, made)
            with gr.Tab(label("owner_invitations")):
                _invitations(label, made)
            with gr.Tab(label("owner_errors")):
                made["errors"] = gr.Dataframe(interactive=False, elem_id="owner-errors")
    names = {field.name for field in fields(OwnerPanel)} - {"view"}
    return OwnerPanel(view=view, **{name: made[name] for name in names})


def _people(label: Label, made: dict[str, Any]) -> None:
    made["people"] = gr.Dataframe(interactive=False, elem_id="owner-people")
    with gr.Row():
        made["person"] = gr.Dropdown(choices=[], label=label("name"), elem_id="owner-person")
        made["limit"] = gr.Number(
            label=label("owner_limit"), precision=0, minimum=0, elem_id="owner-limit"
        )
    with gr.Row():
        made["set_limit"] = gr.Button(label("owner_set_limit"), size="sm")
        made["disable"] = gr.Button(label("owner_disable"), size="sm", elem_id="owner-disable")
        made["enable"] = gr.Button(label("owner_enable"), size="sm", elem_id="owner-enable")
        made["reset"] = gr.Button(label("owner_reset"), size="sm", elem_id="owner-reset")
    made["told"] = gr.HTML(elem_id="owner-told")


def _invitations(label: Label, made: dict[str, Any]) -> None:
    with gr.Row():
        made["uses"] = gr.Number(label=label("owner_uses"), value=5, precision=0, minimum=1)
        made["days"] = gr.Number(label=label("owner_days"), value=7, minimum=0.01)
        made["tokens_each"] = gr.Number(label=label("owner_limit"), precision=0, minimum=0)
    made["invite"] = gr.Button(label("owner_invite"), variant="primary", elem_id="owner-invite")
    made["invited"] = gr.HTML(elem_id="owner-invited")
    made["invitations"] = gr.Dataframe(interactive=False, elem_id="owner-invitations")
    with gr.Row():
        made["invitation"] = gr.Dropdown(choices=[], label="#", elem_id="owner-invitation")
        made["revoke"] = gr.Button(label("owner_revoke"), size="sm", elem_id="owner-revoke")


class OwnerHandlers:
    """What happens on the owner's page."""

    def __init__(self, owner: Owner, accounts: Accounts) -> None:
        self.owner = owner
        self.accounts = accounts

    @for_owner
    async def open_owner(self, visit: Visit) -> tuple[Any, ...]:
        return gr.update(visible=False), gr.update(visible=True), *await self._all(visit)

    @for_owner
    async def close_owner(self, visit: Visit) -> tuple[Any, ...]:
        return gr.update(visible=True), gr.update(visible=False)

    @for_owner
    async def pause(self, visit: Visit, on: bool) -> tuple[Any, ...]:
        await self.owner.pause(bool(on))
        return await self._all(visit)

    @for_owner
    async def set_limit(
        self, visit: Visit, person: int | None, tokens: int | None
    ) -> tuple[Any, ...]:
        if person is not None:
            await self.owner.set_limit(person, tokens or None)
        return await self._all(visit)

    @for_owner
    async def disable(self, visit: Visit, person: int | None) -> tuple[Any, ...]:
        if person is not None and person != visit.user_id:
            await self.owner.set_disabled(person, True)
        return await self._all(visit)

    @for_owner
    async def enable(self, visit: Visit, person: int | None) -> tuple[Any, ...]:
        if person is not None:
            await self.owner.set_disabled(person, False)
        return await self._all(visit)

    @for_owner
    async def reset_password(self, visit: Visit, person: int | None) -> str:
        """A new password, told once."""
        if person is None:
            return ""
        password = await self.owner.reset_password(person)
        return f"<code>{html.escape(password)}</code>"

    @for_owner
    async def invite(
        self, visit: Visit, uses: int, days: float, tokens: int | None
    ) -> tuple[Any, ...]:
        """A new invitation; its code is told once."""
        code = await self.owner.invite(
            uses=int(uses or 1), days=float(days or 7), daily_tokens=tokens or None
        )
        link = f'<code class="invite-code">{html.escape(code)}</code>'
        return link, *await self._all(visit)

    @for_owner
    async def revoke(self, visit: Visit, invitation: int | None) -> tuple[Any, ...]:
        if invitation is not None:
            await self.owner.revoke(invitation)
        return await self._all(visit)

    async def _all(self, visit: Visit) -> tuple[Any, ...]:
        days = await self.owner.days(DAYS)
        people = await self.owner.people()
        invitations = await self.owner.invitations()
        codes = await self.owner.error_counts(DAYS)
        storage = await self.owner.storage_micro_yuan()
        return (
            await self.owner.paused(),
            _summary(days, storage, visit),
            _charts(days, codes, visit),
            _people_table(people, visit),
            gr.update(choices=[(person.name, person.id) for person in people], value=None),
            _invitations_table(invitations, visit),
            gr.update(
                choices=[(f"#{row.id}", row.id) for row in invitations if row.state == "open"],
                value=None,
            ),
            await self._errors(visit),
        )

    async def _errors(self, visit: Visit) -> pd.DataFrame:
        rows = [
            [
                clock_time(row.at, visit.zone),
                row.name,
                row.code,
                row.request_id or "–",
                reason_text(row.code, visit.language),
            ]
            for row in await self.owner.errors(ERRORS)
        ]
        columns = text("owner_error_columns", visit.language).split("|")
        return pd.DataFrame(rows, columns=columns)


def _summary(days: list[DayRow], storage: int, visit: Visit) -> str:
    today = days[-1]
    month = sum(day.micro_yuan for day in days)
    told = text(
        "owner_summary",
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
    """What was used on each day of the budget, and which errors there were."""

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


def _people_table(people: list[PersonRow], visit: Visit) -> pd.DataFrame:
    def moment(value: datetime | None) -> str:
        return clock_time(value, visit.zone) if value else "–"

    rows = [
        [
            person.name,
            moment(person.seen_at),
            f"{person.tokens_today:,}",
            "–" if person.daily_tokens is None else f"{person.daily_tokens:,}",
            yuan(person.micro_yuan_month),
            text("owner_disabled", visit.language) if person.disabled else "",
        ]
        for person in people
    ]
    return pd.DataFrame(rows, columns=text("owner_people_columns", visit.language).split("|"))


def _invitations_table(invitations: list[InvitationRow], visit: Visit) -> pd.DataFrame:
    rows = [
        [
            f"#{row.id}",
            clock_time(row.created_at, visit.zone),
            clock_time(row.expires_at, visit.zone),
            row.uses_left,
            "–" if row.daily_tokens is None else f"{row.daily_tokens:,}",
            text(f"owner_invitation_{row.state}", visit.language),
        ]
        for row in invitations
    ]
    columns = text("owner_invitation_columns", visit.language).split("|")
    return pd.DataFrame(rows, columns=columns)
