"""Accounts: register, log in and out, invitations, and the throttle in front of them.

Answers for who somebody is, never for what they may read. A password is known only by its bcrypt
hash; cookie tokens and invitation codes, which nobody can guess, only by their SHA-256. What
several processes must agree on (names, uses of an invitation, failures) is decided by the database.
"""

import asyncio
import base64
import hashlib
import hmac
import os
import secrets
import unicodedata
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import bcrypt
from peewee import IntegrityError, chunked

from chatbot import throttle
from chatbot.errors import (
    BadInput,
    BadName,
    BadPassword,
    InvitationRefused,
    LoginRefused,
    NameTaken,
    RegistrationClosed,
    StorageUnavailable,
)
from chatbot.names import LONGEST_TYPED, clean_name, look_of, name_key, new_name
from chatbot.storage.database import Storage
from chatbot.storage.fields import now
from chatbot.storage.models import Attempt, Invitation, Login, Secret, User, prepared
from chatbot.throttle import PER_ACCOUNT, PER_ADDRESS

PASSWORD_LENGTHS = range(8, 129)
AGENT_LENGTH = 200
KEYS_AT_ONCE = 500

RENEW_AFTER = timedelta(hours=1)

# The commonest of at least 8 characters, Chinese habits among them (520 1314: love you for life).
COMMON = """
00000000 0123456789 01234567 1122334455 11223344 111222333 123123123 12312312 123321123 123454321
12345678 123456789 1234567890 12345678910 1234567891 123456788 123456aa 123456abc 123456qq 12341234
1234qwer 123698745 12344321 123qweasd 123qwe123 12qwaszx 13145200 1314520520 1314521521 147258369
147852369 1q2w3e4r 1q2w3e4r5t 1qaz2wsx 1qaz2wsx3edc 20082008 31415926 3141592653 5201314520
5201314a 52013140 520520520 521521521 741852963 7758258a 77582588 77585210 789456123 87654321
88888888 963852741 987654321 9876543210 99999999 a1111111 a12345678 a123456789 a1234567890 a123456a
a1b2c3d4 a5201314 aa123456 aa123456789 aa12345678 aaaaaaaa abc12345 abc123456 abc123456789 abcd1234
abcd12345 abcdefgh abcdefg1 admin123 admin1234 administrator as123456 asd123456 asdasdasd asdf1234
asdfasdf asdfghjk asdfghjkl baseball changeme computer dearbook football iloveyou iloveyou1
internet jennifer letmein1 loveyou1314 michelle p@ssw0rd passw0rd password password1 password12
password123 princess q1w2e3r4 q1w2e3r4t5 qazwsxedc qq123456 qq123456789 qq5201314 qwer1234 qwerasdf
qwerty123 qwertyui qwertyuiop starwars sunshine superman trustno1 wang1234 welcome1 whatever
woaini1314 woaini520 woaini521 woaini123 woainima woaiwojia wodemima wo123456 xiaoming zhang123
zxcvbnm1 zxcvbnm123 zaq12wsx zz123456
"""
COMMON_PASSWORDS = frozenset(COMMON.split())


@dataclass(frozen=True)
class Person:
    """Who is behind a login."""

    id: int
    name: str
    is_admin: bool


class Accounts:
    """Every door to an account. `close` ends it."""

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
        self._idle_time = timedelta(days=login_days)
        self._longest_time = timedelta(days=login_max_days)
        self._bcrypt_cost = bcrypt_cost
        # A well-formed hash of no password: it costs what a real one costs, and never fits.
        self._nobodys_hash = bcrypt.gensalt(bcrypt_cost).decode() + "." * 31
        # Threads of its own, so that a rush of logins does not keep SQL waiting.
        self._hashers = ThreadPoolExecutor(min(4, os.cpu_count() or 1), "bcrypt")
        self._renewals: set[asyncio.Task[None]] = set()

    async def register(
        self, name: str, password: str, invite: str, address: str, *, agent: str = ""
    ) -> str:
        """Make an account and log it in: the token for the cookie. `agent`: see `Login`.

        Raises `RegistrationClosed`, `BadName`, `BadPassword`, `InvitationRefused`, `NameTaken`
        or `TooManyAttempts`; then nothing was made, and no invitation used.
        """
        if self._registration == "closed":
            raise RegistrationClosed()
        name = new_name(name)
        _check_new_password(password)
        code = invite.strip() if self._registration == "invite" else None
        if code == "":
            raise InvitationRefused()
        # Accounts that were made count as well: they are what this limit is about.
        attempts = await self._storage.write(
            throttle.reserve, {f"register:{throttle.network_of(address)}": PER_ADDRESS}
        )
        password_hash = await self._hash(password)
        token = secrets.token_urlsafe(32)
        await self._storage.write(
            self._create, name, password_hash, code, attempts, address, token, agent
        )
        return token

    async def log_in(self, name: str, password: str, address: str, *, agent: str = "") -> str:
        """Log in: the token for the cookie. Raises `LoginRefused` or `TooManyAttempts`.

        A wrong password, an unknown or impossible name and a disabled account look the same
        and cost the same.
        """
        limits = {f"address:{throttle.network_of(address)}": PER_ADDRESS}
        try:
            key = name_key(clean_name(name))
            limits[_account(key)] = PER_ACCOUNT
        except BadName:
            key = ""
        attempts, user = await self._storage.write(self._start_login, key, limits)
        password_hash = user.password_hash if user else self._nobodys_hash
        fits = await self._fits(password, password_hash)
        if not user or not fits:
            raise LoginRefused()
        token = secrets.token_urlsafe(32)
        await self._storage.write(self._finish_login, user, attempts, token, agent)
        return token

    async def log_out(self, token: str) -> None:
        """End the login behind this token, if there is one."""
        await self._storage.write(_delete_login, token)

    async def person(self, token: str | None) -> Person | None:
        """Who is behind a cookie's token; None when it is missing, unknown, or has ended."""
        if not token:
            return None
        login = await self._storage.read_inline(_find_login, token)
        if login is None:
            return None
        if login.seen_at < now() - RENEW_AFTER:
            # The answer does not wait for this.
            renewal = asyncio.create_task(self._renew(login))
            self._renewals.add(renewal)
            renewal.add_done_callback(self._renewals.discard)
        return Person(login.user_id, login.name, bool(login.is_admin))

    async def still_logged_in(self, keys: Collection[str]) -> set[str]:
        """Those of these logins, by `login_key`, that have not ended, in whichever way."""
        return await self._storage.read(_live_logins, list(keys))

    async def change_password(self, person: Person, current: str, new: str, token: str) -> None:
        """Replace the password and end every other login of this person.

        Raises `BadPassword`, `LoginRefused` (the current one is wrong) or `TooManyAttempts`.
        """
        _check_new_password(new)
        user = await self._confirmed(person, current)
        new_hash = await self._hash(new)
        await self._storage.write(_replace_password, user, new_hash, token)

    async def confirm(self, person: Person, password: str) -> None:
        """Return if this is the person's password; raises `LoginRefused` or `TooManyAttempts`."""
        user = await self._confirmed(person, password)
        await self._storage.write(_forget_failures, user)

    async def invite(self, *, uses: int, days: float, daily_tokens: int | None = None) -> str:
        """Make an invitation for so many accounts; its code is told only here.

        Who comes with it may use `daily_tokens` a day; None for the common limit.
        """
        code = secrets.token_urlsafe(16)
        await self._storage.write(
            Invitation.create,
            code_hash=_digest(code),
            uses_left=uses,
            expires_at=now() + timedelta(days=days),
            daily_tokens=daily_tokens,
        )
        return code

    # What an owner does; whoever calls these has made sure that it is one.

    async def add(self, name: str, password: str, *, is_admin: bool = False) -> None:
        """Make an account without registering. Raises `BadName`, `BadPassword`, `NameTaken`."""
        name = new_name(name)
        _check_new_password(password)
        password_hash = await self._hash(password)
        await self._storage.write(_create_user, name, password_hash, is_admin=is_admin)

    async def create_admin(self, name: str, password: str) -> None:
        """Make an admin's account, or an admin of whoever has this name and this password.

        An admin stays as they are, whatever their password is by now. Raises `BadName`,
        `BadPassword`, or `NameTaken`: the name alone makes nobody an admin, because anybody may
        have registered it.
        """
        key = name_key(clean_name(name))
        user = await self._storage.read(User.by_name_key, key)
        if user is None:
            # Of two processes that start at once, one comes too late.
            with suppress(NameTaken):
                return await self.add(name, password, is_admin=True)
            user = await self._storage.read(User.by_name_key, key)
        if user is None or not user.is_admin:
            if user is None or not await self._fits(password, user.password_hash):
                raise NameTaken()
            await self._storage.write(_promote, user)

    async def reset_password(self, user_id: int) -> str:
        """Give this person a random password, told only here, and end all their logins.

        Raises `BadInput` when there is no such person; so do the next ones.
        """
        password = secrets.token_urlsafe(12)
        await self._storage.write(_reset_password, user_id, await self._hash(password))
        return password

    async def set_disabled(self, user_id: int, disabled: bool) -> None:
        """Let this person in no more, and end their logins at once; or let them in again."""
        await self._storage.write(_set_disabled, user_id, disabled)

    async def close(self) -> None:
        """Finish what is still being written, and end the threads."""
        await asyncio.gather(*self._renewals)
        self._hashers.shutdown()

    async def _confirmed(self, person: Person, password: str) -> User:
        key = name_key(person.name)
        _, user = await self._storage.write(self._start_login, key, {_account(key): PER_ACCOUNT})
        password_hash = user.password_hash if user else self._nobodys_hash
        fits = await self._fits(password, password_hash)
        if not user or not fits:
            raise LoginRefused()
        return user

    # Down to `_open_login`: on a worker thread, inside a transaction.

    def _start_login(
        self, key: str, limits: dict[str, throttle.Limit]
    ) -> tuple[list[int], User | None]:
        return throttle.reserve(limits), User.by_name_key(key)

    def _finish_login(self, user: User, attempts: list[int], token: str, agent: str) -> None:
        # The account may have been disabled, or its password changed, while bcrypt was at work.
        # An update, because it also keeps others from doing so before this transaction ends.
        unchanged = User.update(name=User.name).where(
            User.id == user.id,
            User.password_hash == user.password_hash,
            User.disabled_at.is_null(),
        )
        if not unchanged.execute():
            raise LoginRefused()
        _forget(attempts)
        _forget_failures(user)
        Login.delete().where(Login.expires_at <= now()).execute()
        self._open_login(user, token, agent)

    def _create(
        self, name: str, password_hash: str, code: str | None, attempts: list[int],
        address: str, token: str, agent: str,
    ) -> None:  # fmt: skip
        daily_tokens, network = None, ""
        if code is not None:
            daily_tokens = _use_invitation(code)
            # The invitation is the limit then, and a whole class may register from one address.
            _forget(attempts)
        else:
            network = _network(address)
        user = _create_user(name, password_hash, daily_tokens=daily_tokens, network=network)
        self._open_login(user, token, agent)

    def _open_login(self, user: User, token: str, agent: str) -> None:
        Login.create(
            user=user,
            token_hash=_digest(token),
            expires_at=now() + min(self._idle_time, self._longest_time),
            agent=agent[:AGENT_LENGTH],
        )

    async def _renew(self, login: Login) -> None:
        expires_at = min(now() + self._idle_time, login.created_at + self._longest_time)
        try:
            await self._storage.write(_renew_login, login.id, expires_at)
        except StorageUnavailable:
            # In the log already, and the next request tries again.
            return

    async def _hash(self, password: str) -> str:
        loop = asyncio.get_running_loop()
        salt = bcrypt.gensalt(self._bcrypt_cost)
        hashed = await loop.run_in_executor(self._hashers, bcrypt.hashpw, _prehash(password), salt)
        return hashed.decode()

    async def _fits(self, password: str, password_hash: str) -> bool:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._hashers, bcrypt.checkpw, _prehash(password), password_hash.encode()
        )


def login_key(token: str) -> str:
    """What a login is known by inside the app: nobody can log in with it."""
    return _digest(token)


def _check_new_password(typed: str) -> None:
    if len(typed) > LONGEST_TYPED or any(map(_is_surrogate, typed)):
        raise BadPassword()
    password = unicodedata.normalize("NFKC", typed)
    if len(password) not in PASSWORD_LENGTHS or len(set(password)) == 1:
        raise BadPassword()
    if password.casefold() in COMMON_PASSWORDS:
        raise BadPassword()


def _is_surrogate(character: str) -> bool:
    return unicodedata.category(character) == "Cs"


def _prehash(password: str) -> bytes:
    """What bcrypt gets: always 44 bytes, because it takes 72 at most and stops at a zero byte."""
    # Nobody has a password that is cut here.
    plain = unicodedata.normalize("NFKC", password[:LONGEST_TYPED])
    return base64.b64encode(hashlib.sha256(plain.encode("utf-8", "surrogatepass")).digest())


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _account(key: str) -> str:
    return f"account:{key}"


# From here on: inside a transaction.


def _find_login(token: str) -> Any:
    """The login behind a token, with `name` and `is_admin` of its person; None when it is over."""
    return next(iter(_login(_digest(token), now())), None)


@prepared
def _login(token_hash: Any, moment: Any) -> Any:
    return (
        Login.select(
            Login.id, Login.user, Login.created_at, Login.seen_at, User.name, User.is_admin
        )
        .join(User)
        .where(
            Login.token_hash == token_hash, Login.expires_at > moment, User.disabled_at.is_null()
        )
    )


def _live_logins(keys: list[str]) -> set[str]:
    found: set[str] = set()
    for some in chunked(keys, KEYS_AT_ONCE):
        rows = (
            Login.select(Login.token_hash)
            .join(User)
            .where(Login.token_hash.in_(some), Login.expires_at > now(), User.disabled_at.is_null())
        )
        found.update(row.token_hash for row in rows)
    return found


def _renew_login(login_id: int, expires_at: datetime) -> None:
    Login.update(seen_at=now(), expires_at=expires_at).where(
        Login.id == login_id, Login.seen_at < now() - RENEW_AFTER
    ).execute()


def _delete_login(token: str) -> None:
    Login.delete().where(Login.token_hash == _digest(token)).execute()


def _replace_password(user: User, new_hash: str, token: str) -> None:
    replaced = User.update(password_hash=new_hash).where(
        User.id == user.id, User.password_hash == user.password_hash
    )
    if not replaced.execute():
        # Somebody changed it in the meantime, so the current password was not current any more.
        raise LoginRefused()
    Login.delete().where(Login.user == user, Login.token_hash != _digest(token)).execute()
    _forget_failures(user)


def _network(address: str) -> str:
    """What `User.network` keeps of an address: nobody learns it without this database's key."""
    if not address:
        return ""
    key, network = Secret.of("network").encode(), throttle.network_of(address).encode()
    return hmac.new(key, network, "sha256").hexdigest()


def _create_user(name: str, password_hash: str, **more: object) -> User:
    wanted = look_of(name)
    others: Any = User.select(User.name).tuples()
    if any(look_of(other) == wanted for (other,) in others):
        raise NameTaken()
    try:
        return User.create(name=name, name_key=name_key(name), password_hash=password_hash, **more)
    except IntegrityError:
        raise NameTaken() from None


def _promote(user: User) -> None:
    promoted = User.update(is_admin=True).where(
        User.id == user.id, User.password_hash == user.password_hash
    )
    if not promoted.execute():
        raise NameTaken()


def _reset_password(user_id: int, password_hash: str) -> None:
    if not User.update(password_hash=password_hash).where(User.id == user_id).execute():
        raise BadInput()
    Login.delete().where(Login.user == user_id).execute()
    # Whoever locked themselves out with wrong guesses may try the new one at once.
    _forget_failures(User.get_by_id(user_id))


def _set_disabled(user_id: int, disabled: bool) -> None:
    # Before the logins: a login that is being finished waits for this row, and then finds it out.
    changed = User.update(disabled_at=now() if disabled else None).where(User.id == user_id)
    if not changed.execute():
        raise BadInput()
    if disabled:
        Login.delete().where(Login.user == user_id).execute()


def _use_invitation(code: str) -> int | None:
    """Use an invitation once: what it lets a person use in a day. Raises `InvitationRefused`."""
    invitation = Invitation.code_hash == _digest(code)
    used = Invitation.update(uses_left=Invitation.uses_left - 1).where(
        invitation,
        Invitation.uses_left > 0,
        Invitation.expires_at > now(),
        Invitation.revoked_at.is_null(),
    )
    if not used.execute():
        raise InvitationRefused()
    return Invitation.get(invitation).daily_tokens


def _forget(attempts: list[int]) -> None:
    Attempt.delete().where(Attempt.id.in_(attempts)).execute()


def _forget_failures(user: User) -> None:
    Attempt.delete().where(Attempt.subject == _account(user.name_key)).execute()
