"""Switches that an admin sets while the app runs, and secret keys created once per database."""

import secrets
from typing import Any

from chatbot.storage.prepared import prepared
from chatbot.storage.tables import Secret, Switch


def is_on(name: str) -> bool:
    return any(switch.on for switch in _switch(name))


def turn(name: str, on: bool) -> None:
    """Set a switch in every process on this database."""
    Switch.insert(name=name, on=on).on_conflict(
        conflict_target=[Switch.name], update={Switch.on: on}
    ).execute()


def names_on(prefix: str) -> frozenset[str]:
    """The names of the switches that are on and begin so, without that beginning."""
    rows: Any = Switch.select(Switch.name).where(Switch.on, Switch.name.startswith(prefix)).tuples()
    return frozenset(name.removeprefix(prefix) for (name,) in rows)


def secret(name: str) -> str:
    """The secret key with this name, created if missing. Runs in a write transaction."""
    # If two processes create it at once, the second uses the key of the first.
    Secret.insert(name=name, value=secrets.token_hex(32)).on_conflict_ignore().execute()
    return str(Secret.get_by_id(name).value)


@prepared
def _switch(name: Any) -> Any:
    return Switch.select().where(Switch.name == name)
