"""The tables of the admin page as HTML: people, invitations, errors, each with buttons in its rows.
A button names its action and its row; `admin.js` sends the event.
"""

from collections.abc import Iterable, Sequence

from chatbot.ui.render import escaped
from chatbot.ui.texts import reason_text, text
from chatbot.ui.transcript import clock_time, yuan
from chatbot.ui.visit import Visit
from chatbot.views import ErrorRow, InvitationRow, ModelRow, PersonRow

NOTHING = "–"


def people_table(people: Sequence[PersonRow], visit: Visit) -> str:
    """All users. Admins cannot lock themselves out: their own row lacks those buttons."""
    return _table("admin_people_columns", (_person(person, visit) for person in people), visit)


def invitations_table(invitations: Sequence[InvitationRow], visit: Visit) -> str:
    if not invitations:
        return _sentence("admin_no_invitations", visit)
    rows = (_invitation(invitation, visit) for invitation in invitations)
    return _table("admin_invitation_columns", rows, visit)


def errors_table(errors: Sequence[ErrorRow], visit: Visit) -> str:
    if not errors:
        return _sentence("chart_no_errors", visit)
    return _table("admin_error_columns", (_error(error, visit) for error in errors), visit)


def models_table(models: Sequence[ModelRow], visit: Visit) -> str:
    """The last model that is on cannot be switched off."""
    on = sum(not row.is_off for row in models)
    rows = (_model(row, visit, is_last=on == 1 and not row.is_off) for row in models)
    return _table("admin_model_columns", rows, visit)


def _model(row: ModelRow, visit: Visit, *, is_last: bool) -> list[str]:
    label = row.label_zh if visit.language == "zh" and row.label_zh else row.label
    name = label or row.name
    act = "model_on" if row.is_off else "model_off"
    return [
        f"<bdi>{escaped(name)}</bdi>",
        escaped(row.name),
        *(f"{price:g}" for price in (row.input, row.cached, row.output)),
        escaped(text("admin_model_is_off", visit.language)) if row.is_off else "",
        "" if is_last else _button(act, row.number, name, visit, asks=act == "model_off"),
    ]


def _person(person: PersonRow, visit: Visit) -> list[str]:
    seen = clock_time(person.seen_at, visit.zone) if person.seen_at else NOTHING
    buttons = []
    if person.id != visit.user_id:
        state = "enable" if person.disabled else "disable"
        buttons = [
            _button(state, person.id, person.name, visit, asks=state == "disable"),
            _button("reset", person.id, person.name, visit, asks=True),
        ]
    return [
        f"<bdi>{escaped(person.name)}</bdi>",
        escaped(seen),
        f"{person.tokens_today:,}",
        _limit(person, visit),
        yuan(person.micro_yuan_month),
        escaped(text("admin_disabled", visit.language)) if person.disabled else "",
        "".join(buttons),
    ]


def _limit(person: PersonRow, visit: Visit) -> str:
    label = text("admin_tokens_of", visit.language, name=person.name)
    limit = "" if person.daily_tokens is None else person.daily_tokens
    return (
        f'<span class="limit"><input type="number" min="0" step="1" value="{limit}" '
        f'placeholder="{NOTHING}" aria-label="{escaped(label)}">'
        f"{_button('limit', person.id, person.name, visit)}</span>"
    )


def _invitation(row: InvitationRow, visit: Visit) -> list[str]:
    name = f"#{row.id}"
    is_open = row.state == "open"
    return [
        name,
        escaped(clock_time(row.created_at, visit.zone)),
        escaped(clock_time(row.expires_at, visit.zone)),
        str(row.uses_left),
        NOTHING if row.daily_tokens is None else f"{row.daily_tokens:,}",
        escaped(text(f"admin_invitation_{row.state}", visit.language)),
        _button("revoke", row.id, name, visit, asks=True) if is_open else "",
    ]


def _error(row: ErrorRow, visit: Visit) -> list[str]:
    return [
        escaped(clock_time(row.at, visit.zone)),
        f"<bdi>{escaped(row.name)}</bdi>",
        escaped(row.code),
        escaped(row.request_id or NOTHING),
        escaped(reason_text(row.code, visit.language)),
    ]


def _button(act: str, row: int, name: str, visit: Visit, *, asks: bool = False) -> str:
    """`asks`: the button asks for confirmation before it acts."""
    label = text(f"admin_{act}", visit.language)
    return (
        f'<button type="button" data-act="{act}" data-row="{row}"{" data-asks" if asks else ""} '
        f'aria-label="{escaped(f"{label}: {name}")}">{escaped(label)}</button>'
    )


def _table(columns: str, rows: Iterable[list[str]], visit: Visit) -> str:
    """`columns` is the key of a text with the column names; the first cell names the row."""
    names = text(columns, visit.language).split("|")
    head = "".join(f'<th scope="col" role="columnheader">{escaped(name)}</th>' for name in names)
    body = "".join(f'<tr role="row">{_cells(names, row)}</tr>' for row in rows)
    # Explicit roles, because small screens show the table as blocks and would lose them.
    return (
        f'<table role="table"><thead role="rowgroup"><tr role="row">{head}</tr></thead>'
        f'<tbody role="rowgroup">{body}</tbody></table>'
    )


def _cells(names: Sequence[str], row: Sequence[str]) -> str:
    first, *others = row
    cells = "".join(
        f'<td role="cell" data-name="{escaped(name)}">{cell}</td>'
        for name, cell in zip(names[1:], others, strict=True)
    )
    return f'<th scope="row" role="rowheader">{first}</th>{cells}'


def _sentence(key: str, visit: Visit) -> str:
    return f"<p>{escaped(text(key, visit.language))}</p>"
