"""Everything that gives access to an account: register, log in, change the password, and the
functions of an admin."""

import hmac
import secrets
from collections.abc import Collection
from contextlib import suppress
from typing import Any, Literal

from chatbot.accounts import invitations
from chatbot.accounts.logins import Logins, Person, login_key
from chatbot.accounts.names import clean_name, look_of, name_key, new_name
from chatbot.accounts.passwords import Passwords, check_new
from chatbot.accounts.throttle import PER_ACCOUNT, PER_ADDRESS, Limit, count_attempt
from chatbot.addresses import network_of
from chatbot.errors import (
    BadName,
    InvitationRefused,
    LoginRefused,
    NameTaken,
    RegistrationClosed,
)
from chatbot.storage import attempts, logins, switches, users
from chatbot.storage.database import Storage


class Accounts:
    """The accounts of all users. Call `close` at the end.

    The database decides what several processes must agree on: names, uses of an invitation,
    failed attempts.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        registration: Literal["open", "invite", "closed"],
        login_days: float,
        login_max_days: float,
        bcrypt_cost: int,
    ) -> None:
        self._storage = storage
        self._registration = registration
        self._logins = Logins(storage, login_days=login_days, login_max_days=login_max_days)
        self._passwords = Passwords(bcrypt_cost)

    async def register(
        self, name: str, password: str, invite: str, address: str, *, agent: str = ""
    ) -> str:
        """Create an account and log it in; returns the token for the cookie. `agent`: see `Login`.

        Raises `RegistrationClosed`, `BadName`, `BadPassword`, `InvitationRefused`, `NameTaken`
        or `TooManyAttempts`; then nothing is created, and no invitation is used.
        """
        if self._registration == "closed":
            raise RegistrationClosed()
        name = new_name(name)
        check_new(password)
        code = invite.strip() if self._registration == "invite" else None
        if code == "":
            raise InvitationRefused()
        # Successful registrations count too: this limits the number of new accounts.
        limits = {f"register:{network_of(address)}": PER_ADDRESS}
        counted = await self._storage.write(count_attempt, limits)
        password_hash = await self._passwords.hash(password)
        return await self._storage.write(
            self._create, name, password_hash, code, counted, address, agent
        )

    async def log_in(self, name: str, password: str, address: str, *, agent: str = "") -> str:
        """Log in; returns the token for the cookie. Raises `LoginRefused` or `TooManyAttempts`.

        A wrong password, an unknown or invalid name and a disabled account give the same error
        after the same time.
        """
        limits = {f"address:{network_of(address)}": PER_ADDRESS}
        try:
            key = name_key(clean_name(name))
            limits[_account(key)] = PER_ACCOUNT
        except BadName:
            key = ""
        counted, user = await self._confirmed(key, password, limits)
        return await self._storage.write(self._finish_login, user, counted, agent)

    async def log_out(self, token: str) -> None:
        """End the login of this token, if there is one."""
        await self._logins.log_out(token)

    async def person(self, token: str | None) -> Person | None:
        """The user of a cookie's token; None if the token is missing, unknown or has ended."""
        return await self._logins.person(token)

    async def still_logged_in(self, keys: Collection[str]) -> set[str]:
        """The subset of these logins, by `login_key`, that are still valid."""
        return await self._logins.still_logged_in(keys)

    async def change_password(self, person: Person, current: str, new: str, token: str) -> None:
        """Replace the password and end every other login of this person.

        Raises `BadPassword`, `LoginRefused` (the current one is wrong) or `TooManyAttempts`.
        """
        check_new(new)
        user = await self._known(person, current)
        new_hash = await self._passwords.hash(new)
        await self._storage.write(_replace_password, user, new_hash, token)

    async def confirm(self, person: Person, password: str) -> None:
        """Return if this is the person's password; raises `LoginRefused` or `TooManyAttempts`."""
        user = await self._known(person, password)
        await self._storage.write(attempts.forget_all, _account(user.name_key))

    async def invite(self, *, uses: int, days: float, daily_tokens: int | None = None) -> str:
        """Create an invitation for `uses` accounts; returns its code, shown only once.

        Users who register with it get `daily_tokens` per day; None for the common limit.
        """
        return await invitations.invite(
            self._storage, uses=uses, days=days, daily_tokens=daily_tokens
        )

    # For admins: the caller has checked that the user is one.

    async def add(self, name: str, password: str, *, is_admin: bool = False) -> None:
        """Create an account without login. Raises `BadName`, `BadPassword`, `NameTaken`."""
        name = new_name(name)
        check_new(password)
        password_hash = await self._passwords.hash(password)
        await self._storage.write(_create_user, name, password_hash, is_admin=is_admin)

    async def create_admin(self, name: str, password: str) -> None:
        """Create an admin account, or promote the user with this name and this password.

        A user who is already an admin stays unchanged, even with another password. Raises
        `BadName`, `BadPassword`, or `NameTaken` if the password is wrong: anybody may have
        registered this name.
        """
        key = name_key(clean_name(name))
        user = await self._storage.read(users.by_name_key, key)
        if user is None:
            # Another process may create it at the same time.
            with suppress(NameTaken):
                return await self.add(name, password, is_admin=True)
            user = await self._storage.read(users.by_name_key, key)
        if user is not None and user.is_admin:
            return
        fits = user is not None and await self._passwords.fits(password, user.password_hash)
        change = users.change_unless_changed
        if not fits or not await self._storage.write(change, user, is_admin=True):
            raise NameTaken()

    async def reset_password(self, user_id: int) -> str:
        """Set and return a random password, shown only once, and end all logins of this user.

        Raises `BadInput` if the user does not exist.
        """
        password = secrets.token_urlsafe(12)
        password_hash = await self._passwords.hash(password)
        await self._storage.write(_reset_password, user_id, password_hash)
        return password

    async def set_disabled(self, user_id: int, disabled: bool) -> None:
        """Disable an account and end its logins at once, or enable it. Raises `BadInput`."""
        await self._storage.write(users.set_disabled, user_id, disabled)

    async def close(self) -> None:
        """Finish pending writes and end the threads."""
        await self._logins.close()
        self._passwords.close()

    async def _known(self, person: Person, password: str) -> Any:
        key = name_key(person.name)
        _, user = await self._confirmed(key, password, {_account(key): PER_ACCOUNT})
        return user

    async def _confirmed(
        self, key: str, password: str, limits: dict[str, Limit]
    ) -> tuple[list[int], Any]:
        """The ids of the counted attempts, and the row of the user with this password.

        Raises `LoginRefused` or `TooManyAttempts`.
        """
        counted, user = await self._storage.write(_start_login, key, limits)
        fits = await self._passwords.fits(password, user.password_hash if user else None)
        if not fits:
            raise LoginRefused()
        return counted, user

    # The functions below run in a transaction.

    def _finish_login(self, user: Any, counted: list[int], agent: str) -> str:
        if not users.may_still_log_in(user):
            raise LoginRefused()
        attempts.forget(counted)
        attempts.forget_all(_account(user.name_key))
        return self._logins.open(user, agent)

    def _create(
        self, name: str, password_hash: str, code: str | None, counted: list[int], address: str,
        agent: str,
    ) -> str:  # fmt: skip
        daily_tokens, network = None, ""
        if code is not None:
            daily_tokens = invitations.use(code)
            # The invitation is the limit here: a school class may register from one address.
            attempts.forget(counted)
        else:
            network = _network(address)
        user = _create_user(name, password_hash, daily_tokens=daily_tokens, network=network)
        return self._logins.open(user, agent)


def _account(key: str) -> str:
    return f"account:{key}"


def _start_login(key: str, limits: dict[str, Limit]) -> tuple[list[int], Any]:
    return count_attempt(limits), users.by_name_key(key)


def _create_user(name: str, password_hash: str, **more: object) -> Any:
    wanted = look_of(name)
    return users.create(
        name, name_key(name), password_hash, lambda other: look_of(other) == wanted, **more
    )


def _replace_password(user: Any, new_hash: str, token: str) -> None:
    if not users.change_unless_changed(user, password_hash=new_hash):
        # Somebody has changed the password meanwhile, so `current` is no longer right.
        raise LoginRefused()
    logins.end_others(user.id, login_key(token))
    attempts.forget_all(_account(user.name_key))


def _reset_password(user_id: int, password_hash: str) -> None:
    user = users.change(user_id, password_hash=password_hash)
    logins.end_others(user_id)
    # After too many wrong attempts the new password must work at once.
    attempts.forget_all(_account(user.name_key))


def _network(address: str) -> str:
    """The keyed hash of an address's network, for `User.network`."""
    if not address:
        return ""
    key, network = switches.secret("network").encode(), network_of(address).encode()
    return hmac.new(key, network, "sha256").hexdigest()
