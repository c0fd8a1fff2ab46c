"""User accounts: their rows, by id and by name."""

from collections.abc import Callable
from typing import Any

from peewee import IntegrityError

from chatbot.errors import BadInput, NameTaken
from chatbot.storage.current import now
from chatbot.storage.fields import is_id
from chatbot.storage.tables import Login, User


def by_name_key(name_key: str) -> Any:
    """The row of the account with this name key; None if there is none."""
    return User.get_or_none(User.name_key == name_key)


def create(
    name: str, name_key: str, password_hash: str, looks_like_it: Callable[[str], bool], **more: Any
) -> Any:
    """Create an account. Raises `NameTaken` if this name, or one that looks like it, exists."""
    others: Any = User.select(User.name).tuples()
    if any(looks_like_it(other) for (other,) in others):
        raise NameTaken()
    try:
        return User.create(name=name, name_key=name_key, password_hash=password_hash, **more)
    except IntegrityError:
        raise NameTaken() from None


def change(user_id: int, **values: Any) -> Any:
    """Set columns of an account; returns its row. Raises `BadInput` if it does not exist."""
    if not is_id(user_id) or not User.update(**values).where(User.id == user_id).execute():
        raise BadInput()
    return User.get_by_id(user_id)


def change_unless_changed(user: Any, **values: Any) -> bool:
    """Set columns of an account unless its password has changed since `user` was read; returns
    whether they were set."""
    same = (User.id == user.id) & (User.password_hash == user.password_hash)
    return bool(User.update(**values).where(same).execute())


def may_still_log_in(user: Any) -> bool:
    """Whether the account is enabled and its password unchanged since `user` was read. Locks the
    row until this transaction ends."""
    same = (User.id == user.id) & (User.password_hash == user.password_hash)
    # An update, because it locks the row.
    unchanged = User.update(name=User.name).where(same, User.disabled_at.is_null())
    return bool(unchanged.execute())


def set_disabled(user_id: int, disabled: bool) -> None:
    """Disable an account and end its logins, or enable it again. Raises `BadInput`."""
    # Before the logins: a login in progress waits for this row, then sees that it is disabled.
    change(user_id, disabled_at=now() if disabled else None)
    if disabled:
        Login.delete().where(Login.user == user_id).execute()
