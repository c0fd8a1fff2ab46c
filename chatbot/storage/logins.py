"""Logins: the browsers that are logged in, by the hash of their token."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from peewee import chunked

from chatbot.storage.current import now
from chatbot.storage.fields import is_id
from chatbot.storage.prepared import prepared
from chatbot.storage.tables import Login, User

HASHES_AT_ONCE = 500


def find(token_hash: str) -> Any:
    """A login with `name` and `is_admin` of its person; None when it is over."""
    return next(iter(_find(token_hash, now())), None)


def live(token_hashes: Collection[str]) -> set[str]:
    """Those of these logins that have not ended, in whichever way."""
    found: set[str] = set()
    for some in chunked(token_hashes, HASHES_AT_ONCE):
        rows = (
            Login.select(Login.token_hash)
            .join(User)
            .where(Login.token_hash.in_(some), Login.expires_at > now(), User.disabled_at.is_null())
        )
        found.update(row.token_hash for row in rows)
    return found


def of_user(user_id: int) -> list[Any]:
    """The rows of somebody's logins, the one that was used last first."""
    mine: Any = Login.select().where(Login.user == user_id, Login.expires_at > now())
    return list(mine.order_by(Login.seen_at.desc(), Login.id.desc()))


def create(user: Any, token_hash: str, expires_at: datetime, agent: str) -> None:
    """A new login, in the place of those that have expired."""
    Login.delete().where(Login.expires_at <= now()).execute()
    Login.create(user=user, token_hash=token_hash, expires_at=expires_at, agent=agent)


def renew(login_id: int, seen_before: datetime, expires_at: datetime) -> None:
    """Make a login last longer that was last seen before then."""
    Login.update(seen_at=now(), expires_at=expires_at).where(
        Login.id == login_id, Login.seen_at < seen_before
    ).execute()


def end(token_hash: str) -> None:
    Login.delete().where(Login.token_hash == token_hash).execute()


def end_one(user_id: int, login_id: int) -> None:
    """End a login of this user; any other one is left as it is."""
    if is_id(login_id):
        Login.delete().where(Login.id == login_id, Login.user == user_id).execute()


def end_others(user_id: int, token_hash: str = "") -> None:
    """End all logins of a user but the one with this hash."""
    Login.delete().where(Login.user == user_id, Login.token_hash != token_hash).execute()


@prepared
def _find(token_hash: Any, moment: Any) -> Any:
    return (
        Login.select(
            Login.id, Login.user, Login.created_at, Login.seen_at, User.name, User.is_admin
        )
        .join(User)
        .where(
            Login.token_hash == token_hash, Login.expires_at > moment, User.disabled_at.is_null()
        )
    )
