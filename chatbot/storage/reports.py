"""Reports about all users, for admins: usage, days, errors.

Read-only, each with a fixed number of queries. The caller says when a day begins, because not
every database knows time zones.
"""

import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from peewee import JOIN, SQL, Case, fn

from chatbot.storage.tables import Login, Turn, User
from chatbot.views import DayRow, ErrorRow, PersonRow

# A literal, not a parameter: only then can a database use the partial index of turns with an error.
WITH_ERROR = Turn.error != SQL("''")
SAMPLES = 50_000
"""Most first-token times used for percentiles; the newest count."""


def people(day: datetime, month: datetime) -> list[PersonRow]:
    """All accounts, oldest first. Three queries; reads the turns since `month`."""
    today = Case(None, [(Turn.started_at >= day, Turn.prompt_tokens + Turn.completion_tokens)], 0)
    used: Any = (
        Turn.select(Turn.user, fn.SUM(today), fn.SUM(Turn.micro_yuan), fn.MAX(Turn.started_at))
        .where(Turn.started_at >= month)
        .group_by(Turn.user)
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
    """One row for each day that begins at these times, the last one up to now.

    Two queries over the turns of those days, by index.
    """
    if not starts:
        return []
    newest_first = reversed(list(enumerate(starts)))
    nth = Case(None, [(Turn.started_at >= start, number) for number, start in newest_first]).alias(
        "nth"
    )
    in_days = Turn.started_at >= starts[0]
    sums: Any = (
        Turn.select(
            nth,
            fn.COUNT(Turn.id).alias("turns"),
            fn.COUNT(Turn.user.distinct()).alias("people"),
            fn.SUM(Turn.prompt_tokens).alias("prompt"),
            fn.SUM(Turn.cached_tokens).alias("cached"),
            fn.SUM(Turn.completion_tokens).alias("completion"),
            fn.SUM(Turn.micro_yuan).alias("micro_yuan"),
            fn.SUM(Turn.saved_micro_yuan).alias("saved_micro_yuan"),
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
        Turn.select(nth, Turn.first_token_ms)
        .where(in_days, Turn.first_token_ms.is_null(False))
        .order_by(Turn.started_at.desc())
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

    The cost depends on `limit` only: it uses the index of turns with an error.
    """
    at = fn.COALESCE(Turn.finished_at, Turn.started_at)
    rows: Any = (
        Turn.select(at, Turn.error, Turn.request_id, User.name)
        .join(User, JOIN.LEFT_OUTER)
        .where(WITH_ERROR)
        .order_by(Turn.started_at.desc())
        .limit(max(limit, 0))
        .tuples()
    )
    return [ErrorRow(at, error, request_id, name or "") for at, error, request_id, name in rows]


def error_counts(since: datetime) -> dict[str, int]:
    """How often each error ended a reply since `since`, most frequent first."""
    count = fn.COUNT(Turn.id)
    rows: Any = (
        Turn.select(Turn.error, count)
        .where(WITH_ERROR, Turn.started_at >= since)
        .group_by(Turn.error)
        .order_by(count.desc(), Turn.error)
        .tuples()
    )
    counts: Counter[str] = Counter()
    for reason, times in rows:
        # A value for the message, such as seconds, follows the colon.
        counts[reason.partition(":")[0]] += times
    return dict(counts.most_common())


def _percentile(values: Sequence[int], percent: int) -> int | None:
    """The smallest value that at least `percent` of the values do not exceed."""
    ranked = sorted(values)
    return ranked[math.ceil(len(ranked) * percent / 100) - 1] if ranked else None
