"""The functions of an admin: people, invitations, usage, errors, the pause.

The admin page and the commands use them; both check that the caller is an admin. An id that does
not exist raises `BadInput`. Days begin in the budget's time zone.
"""

import math
from datetime import datetime, time, timedelta

from chatbot.accounts import Accounts
from chatbot.accounts.names import clean_name, name_key
from chatbot.budget import Budget
from chatbot.catalog import Models
from chatbot.errors import BadInput, BadName
from chatbot.storage import conversations, invitations, reports, switches, users
from chatbot.storage.database import Storage
from chatbot.turns.keeper import MODEL_OFF
from chatbot.turns.purse import PAUSE
from chatbot.views import DayRow, ErrorRow, InvitationRow, ModelRow, PersonRow

MOST_DAYS = 366
MOST_TOKENS = 2_000_000_000
MOST_USES = 100_000


class Admin:
    """Everything an admin can do, for all users."""

    def __init__(
        self, storage: Storage, accounts: Accounts, budget: Budget, models: Models
    ) -> None:
        self._storage = storage
        self._accounts = accounts
        self._budget = budget
        self._models = models

    async def people(self) -> list[PersonRow]:
        """All accounts, oldest first. Reads this month's turns."""
        budget, at = self._budget, self._storage.clock()
        return await self._storage.read(reports.people, budget.day(at), budget.month(at))

    async def id_of(self, name: str) -> int | None:
        """The id of the user with this name, ignoring case; None if there is none."""
        try:
            key = name_key(clean_name(name))
        except BadName:
            return None
        user = await self._storage.read(users.by_name_key, key)
        return int(user.id) if user else None

    async def add_person(self, name: str, password: str) -> None:
        """Create an account. Raises `BadName`, `BadPassword` or `NameTaken`."""
        await self._accounts.add(name, password)

    async def create_admin(self, name: str, password: str) -> None:
        """Create an admin account, or promote the user with this name and password.

        Raises `BadName`, `BadPassword`, or `NameTaken` if that user has another password.
        """
        await self._accounts.create_admin(name, password)

    async def set_disabled(self, user_id: int, disabled: bool) -> None:
        """Disable an account and end its logins at once, or enable it again."""
        await self._accounts.set_disabled(user_id, disabled)

    async def set_limit(self, user_id: int, daily_tokens: int | None) -> None:
        """Set the daily tokens of a user: 0 for no limit, None for the common limit."""
        _check_tokens(daily_tokens)
        await self._storage.write(users.change, user_id, daily_tokens=daily_tokens)

    async def set_admin(self, user_id: int, admin: bool) -> None:
        """Grant or revoke a user's admin rights."""
        await self._storage.write(users.change, user_id, is_admin=admin)

    async def reset_password(self, user_id: int) -> str:
        """Set and return a new random password, shown only once; ends all logins of this user."""
        return await self._accounts.reset_password(user_id)

    async def invitations(self) -> list[InvitationRow]:
        """All invitations, newest first."""
        return await self._storage.read(invitations.newest)

    async def invite(self, *, uses: int, days: float, daily_tokens: int | None) -> str:
        """Create an invitation; returns its code, shown only once. Raises `BadInput`."""
        _check_tokens(daily_tokens)
        if not (1 <= uses <= MOST_USES and 0 < days <= MOST_DAYS):
            raise BadInput()
        return await self._accounts.invite(uses=uses, days=days, daily_tokens=daily_tokens)

    async def revoke(self, invitation_id: int) -> None:
        """Make this invitation invalid; accounts created with it stay."""
        await self._storage.write(invitations.revoke, invitation_id)

    async def days(self, count: int) -> list[DayRow]:
        """The last `count` days (`MOST_DAYS` at most) up to today, oldest first.

        Reads the turns of those days twice, the second time up to `reports.SAMPLES`.
        """
        return await self._storage.read(reports.days, self._starts(count))

    async def errors(self, limit: int) -> list[ErrorRow]:
        """The newest replies that an error ended early, newest first."""
        return await self._storage.read(reports.errors, limit)

    async def error_counts(self, days: int) -> dict[str, int]:
        """How often each error ended a reply in the last `days` days, most frequent first."""
        since = next(iter(self._starts(days)), self._storage.clock())
        return await self._storage.read(reports.error_counts, since)

    async def paused(self) -> bool:
        """Whether new replies are refused; the setting PAUSED cannot be switched off here."""
        return self._budget.paused or await self._storage.read(switches.is_on, PAUSE)

    async def pause(self, on: bool) -> None:
        """Pause or resume new replies in every process. Running replies finish."""
        await self._storage.write(switches.turn, PAUSE, on)

    def models(self) -> list[ModelRow]:
        """The models of ARK_MODEL, in its order."""
        rows = []
        for number, model in enumerate(self._models.all, 1):
            prices, is_off = self._models.prices(model.name), model.name in self._models.off
            rows.append(
                ModelRow(
                    number, model.name, model.label, model.label_zh,
                    prices.input, prices.cached, prices.output, is_off,
                )
            )  # fmt: skip
        return rows

    async def switch_model(self, number: int, on: bool) -> None:
        """Switch a model on or off for all, by its place in ARK_MODEL. Running replies finish.

        Raises `BadInput` for the last one that is on; `pause` stops all replies.
        """
        models = self._models
        if not 1 <= number <= len(models.all):
            raise BadInput()
        name = models.all[number - 1].name
        off = models.off - {name} if on else models.off | {name}
        if len(off) == len(models.all):
            raise BadInput()
        await self._storage.write(switches.turn, MODEL_OFF + name, not on)
        models.off = off

    async def storage_micro_yuan(self) -> int:
        """The approximate cost per hour of the contexts that Ark stores now, in micro-yuan.

        Ark bills the most cached tokens of each clock hour until a context expires
        (docs/82379/1544106). Not included: contexts that are no longer used, after a stop, an edit
        or a deletion, but have not expired yet.
        """
        tokens = await self._storage.read(conversations.held_tokens)
        return math.ceil(tokens * self._models.storage_price)

    def _starts(self, count: int) -> list[datetime]:
        """When each of the last `count` days began, oldest first; not every day has 24 hours."""
        today = self._budget.day(self._storage.clock()).date()
        return [
            datetime.combine(today - timedelta(days=ago), time(), self._budget.zone)
            for ago in reversed(range(min(count, MOST_DAYS)))
        ]


def _check_tokens(daily_tokens: int | None) -> None:
    if daily_tokens is not None and not 0 <= daily_tokens <= MOST_TOKENS:
        raise BadInput()
