"""Logins: browsers that are logged in, stored by the hash of their token."""

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
    """A login with `name` and `is_admin` of its user; None if it has ended."""
    return next(iter(_find(token_hash, now())), None)


def live(token_hashes: Collection[str]) -> set[str]:
    """The subset of these logins that are still valid."""
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
    """The rows of a user's logins, last used first."""
    mine: Any = Login.select().where(Login.user == user_id, Login.expires_at > now())
    return list(mine.order_by(Login.seen_at.desc(), Login.id.desc()))


def create(user: Any, token_hash: str, expires_at: datetime, agent: str) -> None:
    """Store a new login, and delete expired ones."""
    Login.delete().where(Login.expires_at <= now()).execute()
    Login.create(user=user, token_hash=token_hash, expires_at=expires_at, agent=agent)


def renew(login_id: int, seen_before: datetime, expires_at: datetime) -> None:
    """Extend a login to `expires_at`, if it was last seen before `seen_before`."""
    Login.update(seen_at=now(), expires_at=expires_at).where(
        Login.id == login_id, Login.seen_at < seen_before
    ).execute()


def end(token_hash: str) -> None:
    Login.delete().where(Login.token_hash == token_hash).execute()


def end_one(user_id: int, login_id: int) -> None:
    """End a login if it belongs to this user."""
    if is_id(login_id):
        Login.delete().where(Login.id == login_id, Login.user == user_id).execute()


def end_others(user_id: int, token_hash: str = "") -> None:
    """End all logins of a user except the one with this hash."""
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
