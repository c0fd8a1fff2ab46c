"""Figures over all people: who used what, days, errors, what Ark holds. For the owner's eyes.

Read-only, each in a fixed number of queries. When a day begins is for the caller to say: time
zones are known to Python, not to every database.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from peewee import SQL, Case, fn

from chatbot.storage.fields import now
from chatbot.storage.models import Conversation, Login, Message, State, Usage, User

SAMPLES = 50_000
"""Most first tokens that percentiles are taken from, the newest ones."""
ENDED_EARLY = (State.INTERRUPTED, State.FAILED, State.FILTERED, State.LENGTH)


@dataclass(frozen=True)
class PersonRow:
    """An account, with what it has used and reserved."""

    id: int
    name: str
    is_admin: bool
    disabled: bool
    created_at: datetime
    seen_at: datetime | None
    """The last sign of life: a login in use (kept to the hour) or a turn of this month."""
    tokens_today: int
    micro_yuan_month: int
    daily_tokens: int | None
    """None for the common limit, 0 for no limit."""


@dataclass(frozen=True)
class DayRow:
    """The use of one day; running turns count with what is reserved for them."""

    day: date
    turns: int
    people: int
    prompt: int
    cached: int
    completion: int
    micro_yuan: int
    saved_micro_yuan: int
    first_token_p50: int | None
    first_token_p95: int | None


@dataclass(frozen=True)
class ErrorRow:
    """What ended a reply early. `code` is one of `errors.py`; `request_id` is Ark's, if any."""

    at: datetime
    code: str
    request_id: str
    name: str


def people(day: datetime, month: datetime) -> list[PersonRow]:
    """All accounts, oldest first, in three queries; the ledger is read from `month` on."""
    today = Case(None, [(Usage.at >= day, Usage.prompt_tokens + Usage.completion_tokens)], 0)
    used: Any = (
        Usage.select(Usage.user_id, fn.SUM(today), fn.SUM(Usage.micro_yuan), fn.MAX(Usage.at))
        .where(Usage.at >= month)
        .group_by(Usage.user_id)
        .tuples()
    )
    use_of = {user_id: use for user_id, *use in used}
    seen: Any = Login.select(Login.user, fn.MAX(Login.seen_at)).group_by(Login.user).tuples()
    seen_of = dict(seen)
    rows = []
    users: Any = User.select().order_by(User.id)
    for user in users:
        tokens, micro_yuan, asked_at = use_of.get(user.id, (0, 0, None))
        signs = [at for at in (seen_of.get(user.id), asked_at) if at is not None]
        rows.append(
            PersonRow(
                id=user.id,
                name=user.name,
                is_admin=user.is_admin,
                disabled=user.disabled_at is not None,
                created_at=user.created_at,
                seen_at=max(signs, default=None),
                tokens_today=int(tokens),
                micro_yuan_month=int(micro_yuan),
                daily_tokens=user.daily_tokens,
            )
        )
    return rows


def days(starts: Sequence[datetime]) -> list[DayRow]:
    """The days that begin at these moments, the last one up to now; unused ones included.

    Two queries over the ledger rows of those days, by index; the second also looks up one message
    for each, so that `SAMPLES` turns take some 0.4 seconds.
    """
    if not starts:
        return []
    newest_first = reversed(list(enumerate(starts)))
    nth = Case(None, [(Usage.at >= start, number) for number, start in newest_first]).alias("nth")
    in_days = Usage.at >= starts[0]
    sums: Any = (
        Usage.select(
            nth,
            fn.COUNT(Usage.id).alias("turns"),
            fn.COUNT(Usage.user_id.distinct()).alias("people"),
            fn.SUM(Usage.prompt_tokens).alias("prompt"),
            fn.SUM(Usage.cached_tokens).alias("cached"),
            fn.SUM(Usage.completion_tokens).alias("completion"),
            fn.SUM(Usage.micro_yuan).alias("micro_yuan"),
            fn.SUM(Usage.saved_micro_yuan).alias("saved_micro_yuan"),
        )
        .where(in_days)
        .group_by(SQL("nth"))
        .dicts()
    )
    sums_of = {row.pop("nth"): {name: int(value) for name, value in row.items()} for row in sums}
    unused = dict.fromkeys(
        ("turns", "people", "prompt", "cached", "completion", "micro_yuan", "saved_micro_yuan"), 0
    )
    waits: Any = (
        Usage.select(nth, Message.first_token_ms)
        .join(Message, on=(Message.id == Usage.reply_id))
        .where(in_days, Message.first_token_ms.is_null(False))
        .order_by(Usage.at.desc())
        .limit(SAMPLES)
        .tuples()
    )
    waits_of: dict[int, list[int]] = {}
    for number, milliseconds in waits:
        waits_of.setdefault(number, []).append(milliseconds)
    return [
        DayRow(
            day=start.date(),
            first_token_p50=_percentile(waits_of.get(number, []), 50),
            first_token_p95=_percentile(waits_of.get(number, []), 95),
            **sums_of.get(number, unused),
        )
        for number, start in enumerate(starts)
    ]


def errors(limit: int) -> list[ErrorRow]:
    """The newest replies that an error ended early, newest first.

    Costs as much as there are such replies, by the index on their state.
    """
    rows: Any = (
        Message.select(
            Message.finished_at,
            Message.created_at,
            Message.error,
            Message.request_id,
            User.name.alias("person"),
        )
        .join(Conversation)
        .join(User)
        .where(Message.state.in_(ENDED_EARLY), Message.error != "")
        .order_by(Message.id.desc())
        .limit(max(limit, 0))
        .objects()
    )
    return [
        ErrorRow(row.finished_at or row.created_at, row.error, row.request_id, row.person)
        for row in rows
    ]


def error_counts(since: datetime) -> dict[str, int]:
    """How often each error ended a reply since then, the most frequent first."""
    count = fn.COUNT(Message.id)
    rows: Any = (
        Message.select(Message.error, count)
        .where(Message.state.in_(ENDED_EARLY), Message.error != "", Message.created_at >= since)
        .group_by(Message.error)
        .order_by(count.desc(), Message.error)
        .tuples()
    )
    counts: Counter[str] = Counter()
    for reason, times in rows:
        # Behind a colon stands what the sentence needs, such as seconds.
        counts[reason.partition(":")[0]] += times
    return dict(counts.most_common())


def held_tokens() -> int:
    """About how many tokens Ark holds in the contexts that are in use and have not expired.

    Stored responses cost nothing: their cache works by itself (docs/82379/1398933). One pass over
    the conversations. Taken for a context: prompt and completion of its newest reply, which is a
    little more than Ark caches of it.
    """
    held = fn.COALESCE(Message.prompt_tokens, 0) + fn.COALESCE(Message.completion_tokens, 0)
    tokens = (
        Message.select(fn.SUM(held))
        .join(Conversation, on=(Conversation.memory_upto == Message.id))
        .where(Conversation.memory_expires_at > now(), Conversation.memory_kind == "context")
        .scalar()
    )
    return int(tokens or 0)


def _percentile(values: Sequence[int], percent: int) -> int | None:
    """The smallest value that so many percent of all do not exceed."""
    ranked = sorted(values)
    return ranked[math.ceil(len(ranked) * percent / 100) - 1] if ranked else None
