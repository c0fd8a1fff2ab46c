"""The accounts of people: their rows, by id and by name."""

from collections.abc import Callable
from typing import Any

from peewee import IntegrityError

from chatbot.errors import BadInput, NameTaken
from chatbot.storage.current import now
from chatbot.storage.fields import is_id
from chatbot.storage.tables import Login, User


def by_name_key(name_key: str) -> Any:
    """The row of a name in whatever capitals; None when nobody has it."""
    return User.get_or_none(User.name_key == name_key)


def create(
    name: str, name_key: str, password_hash: str, looks_like_it: Callable[[str], bool], **more: Any
) -> Any:
    """A new account. Raises `NameTaken` when somebody has this name, or one that looks like it."""
    others: Any = User.select(User.name).tuples()
    if any(looks_like_it(other) for (other,) in others):
        raise NameTaken()
    try:
        return User.create(name=name, name_key=name_key, password_hash=password_hash, **more)
    except IntegrityError:
        raise NameTaken() from None


def change(user_id: int, **values: Any) -> Any:
    """Give an account other values; its row. Raises `BadInput` when there is none such."""
    if not is_id(user_id) or not User.update(**values).where(User.id == user_id).execute():
        raise BadInput()
    return User.get_by_id(user_id)


def change_unless_changed(user: Any, **values: Any) -> bool:
    """Give an account other values if it still has the password it had; whether it has."""
    same = (User.id == user.id) & (User.password_hash == user.password_hash)
    return bool(User.update(**values).where(same).execute())


def may_still_log_in(user: Any) -> bool:
    """Whether the account was neither disabled nor given another password since it was read; nobody
    else can do so before this transaction ends."""
    same = (User.id == user.id) & (User.password_hash == user.password_hash)
    # An update, because it keeps others waiting.
    unchanged = User.update(name=User.name).where(same, User.disabled_at.is_null())
    return bool(unchanged.execute())


def set_disabled(user_id: int, disabled: bool) -> None:
    """Let somebody in no more and end their logins; or let them in. Raises `BadInput`."""
    # Before the logins: a login that is being finished waits for this row, and then finds it out.
    change(user_id, disabled_at=now() if disabled else None)
    if disabled:
        Login.delete().where(Login.user == user_id).execute()
