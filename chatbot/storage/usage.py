"""Usage of each person and of the whole app, summed over the turns.

A running turn counts with its reserved numbers, so that a limit also holds while it runs.
"""

from datetime import datetime
from typing import Any

from peewee import Case, fn

from chatbot.storage.current import database, is_sqlite
from chatbot.storage.leases import ENDED
from chatbot.storage.prepared import prepared
from chatbot.storage.tables import Turn, User
from chatbot.usage import AppUsage, PersonUsage

# Any number that no other lock uses.
LOCK = 0x62756467


def hold() -> None:
    """Make other transactions that reserve wait until this one ends: two could read before either
    has written. SQLite has only one writer at a time anyway."""
    if not is_sqlite():
        database.execute_sql("SELECT pg_advisory_xact_lock(%s)", (LOCK,))


def of_person(user_id: int, since: datetime) -> PersonUsage:
    """What one person has used since `since`. If the account is newer, it also includes what
    deleted accounts of the same network have used."""
    [(tokens, micro_yuan, all_tokens, limit)] = _of_person(user_id, since)
    tokens = int(tokens or 0)
    return PersonUsage(tokens, int(micro_yuan or 0), int(all_tokens or 0) - tokens, limit)


def of_app(day: datetime, month: datetime) -> AppUsage:
    """What the app has spent since `day` and since `month`, in micro-yuan."""
    [(today, this_month)] = _of_app(day, month)
    return AppUsage(int(today or 0), int(this_month or 0))


@prepared
def _of_person(user_id: Any, since: Any) -> Any:
    tokens = Turn.prompt_tokens + Turn.completion_tokens
    used = [fn.SUM(Case(None, [(ENDED, one)], 0)) for one in (tokens, Turn.micro_yuan)]
    limit = User.select(User.daily_tokens).where(User.id == user_id)
    # A person who deletes an account and makes a new one keeps the usage of that day.
    made_at = User.select(User.created_at).where(User.id == user_id)
    network = User.select(User.network).where(
        User.id == user_id, User.created_at >= since, User.network != ""
    )
    before = Turn.user.is_null() & Turn.network.in_(network) & (Turn.started_at <= made_at)
    counted = ((Turn.user == user_id) | before) & (Turn.started_at >= since)
    return Turn.select(*used, fn.SUM(tokens), limit).where(counted).tuples()


@prepared
def _of_app(day: Any, month: Any) -> Any:
    of_day = Case(None, [(Turn.started_at >= day, Turn.micro_yuan)], 0)
    spent = Turn.select(fn.SUM(of_day), fn.SUM(Turn.micro_yuan)).where(Turn.started_at >= month)
    return spent.tuples()
