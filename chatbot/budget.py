"""What turns cost and whether they may be started: prices, reserve, settle.

`reserve`, `extend` and `settle` run inside transactions, so a limit holds for turns that start at
once, in several processes, too. What is reserved and settled is a turn's calls to Ark, each priced
alone: prices may depend on the length of one request. Knows nothing of Ark's API.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Self
from uuid import UUID
from zoneinfo import ZoneInfo

import peewee

from chatbot.catalog import DEAREST, Prices, prices_of
from chatbot.config import Settings
from chatbot.errors import (
    AppBudgetUsedUp,
    BudgetUsedUp,
    ChangedElsewhere,
    MonthlyBudgetUsedUp,
    Paused,
)
from chatbot.storage.fields import now
from chatbot.storage.models import Switch, Usage, database
from chatbot.usage import Used

PAUSE = "paused"
BUDGET_LOCK = 0x62756467
MILLION = 1_000_000
MOST_MICRO_YUAN = 2_000_000_000
"""The most that one turn is taken to cost, 2,000 yuan: what a column of 32 bits can hold."""


def prices_for(model: str, **set_by_owner: float | None) -> Prices:
    """The prices of a model: those that the owner has set, else the listed ones, else the dearest
    of the list."""
    given = dict.fromkeys(("input", "cached", "output", "storage")) | set_by_owner
    return (prices_of(model) or DEAREST).set_by_owner(**given)


UNKNOWN_PRICES = (
    "The price of {model} is not known: each token counts at the dearest price of the list until "
    "PRICE_INPUT, PRICE_CACHED and PRICE_OUTPUT are set, or ARK_MODEL says whose endpoint it is "
    "(ep-…=model)."
)


def prices_are_known(settings: Settings, model: str) -> bool:
    """Whether the budget counts with prices that somebody has looked up for this model."""
    chosen = (settings.price_input, settings.price_cached, settings.price_output)
    return prices_of(model) is not None or None not in chosen


@dataclass(frozen=True)
class Today:
    """What one person has used today, and may use."""

    tokens: int
    micro_yuan: int
    reserved: int
    """Tokens that are set aside for the replies being written, beside those that are used."""
    limit: int
    """Tokens; 0 for no limit."""

    @property
    def share(self) -> float:
        """How much of the limit is used, 0 to 1 and above; 0 without a limit."""
        return self.tokens / self.limit if self.limit else 0.0


@dataclass(frozen=True)
class Budget:
    """The limits; 0 stands for none."""

    prices: Prices
    user_daily_tokens: int
    daily_yuan: float
    monthly_yuan: float
    zone: tzinfo
    paused: bool = False

    @classmethod
    def of(cls, settings: Settings, model: str) -> Self:
        """The budget that the settings say, at the prices of this model."""
        prices = prices_for(
            model,
            input=settings.price_input,
            cached=settings.price_cached,
            output=settings.price_output,
            storage=settings.price_storage,
        )
        return cls(
            prices=prices,
            user_daily_tokens=settings.user_daily_tokens,
            daily_yuan=settings.daily_yuan,
            monthly_yuan=settings.monthly_yuan,
            zone=ZoneInfo(settings.budget_zone),
            paused=settings.paused,
        )

    def reserve(
        self,
        user_id: int,
        conversation_id: UUID,
        reply_id: int,
        model: str,
        calls: Sequence[Used],
    ) -> int:
        """Set aside the most a turn can use; the id of its row in the ledger.

        Raises `Paused` or `BudgetUsedUp`. Runs in the transaction that begins the turn, which is
        then rolled back.
        """
        self._lock()
        self._check(user_id, _tokens(calls), self._cost(calls))
        return Usage.reserve(
            user_id=user_id,
            conversation_id=conversation_id,
            reply_id=reply_id,
            model=model,
            **self._columns(calls),
        )

    def extend(
        self, user_id: int, usage_id: int, reserved: Sequence[Used], calls: Sequence[Used]
    ) -> None:
        """Set aside more for a running turn, of which `reserved` was set aside so far.

        Raises `Paused`, `BudgetUsedUp`, or `ChangedElsewhere` when the turn was ended meanwhile
        by another process; nothing is changed then.
        """
        self._lock()
        if not Usage.is_reserved(usage_id):
            raise ChangedElsewhere()
        more = _tokens(calls) - _tokens(reserved)
        cost = self._cost(calls) - self._cost(reserved)
        if more > 0 or cost > 0:
            self._check(user_id, more, cost)
        Usage.change(usage_id, **self._columns(calls))

    def settle(self, usage_id: int, calls: Sequence[Used]) -> None:
        """Put what a turn has used in the place of what was reserved for it.

        Also in the place of what others took it for when they thought its process dead.
        """
        Usage.change(usage_id, settled=True, **self._columns(calls))

    def _columns(self, calls: Sequence[Used]) -> dict[str, int]:
        used = sum(calls, Used())
        return {
            "prompt_tokens": used.prompt,
            "cached_tokens": used.cached,
            "completion_tokens": used.completion,
            "reasoning_tokens": used.reasoning,
            "micro_yuan": self._cost(calls),
            "saved_micro_yuan": min(
                sum(self.prices.saved(call.cached, call.prompt) for call in calls), MOST_MICRO_YUAN
            ),
        }

    def _cost(self, calls: Sequence[Used]) -> int:
        each = (self.prices.micro_yuan(one.prompt, one.cached, one.completion) for one in calls)
        return min(sum(each), MOST_MICRO_YUAN)

    def _lock(self) -> None:
        if self.paused or Switch.is_on(PAUSE):
            raise Paused()
        if isinstance(database.obj, peewee.PostgresqlDatabase):
            # SQLite has one writer at a time; here two could look before either has written.
            database.execute_sql("SELECT pg_advisory_xact_lock(%s)", (BUDGET_LOCK,))

    def today(self, user_id: int) -> Today:
        """What a person has used and reserved since the day began."""
        tokens, micro_yuan, reserved, limit = Usage.of_person(user_id, self.day())
        limit = self.user_daily_tokens if limit is None else limit
        return Today(tokens, micro_yuan, reserved, limit)

    def day(self) -> datetime:
        """When the present day of the budget began."""
        local = now().astimezone(self.zone)
        return local.replace(hour=0, minute=0, second=0, microsecond=0)

    def month(self) -> datetime:
        """When the present month of the budget began."""
        return self.day().replace(day=1)

    def _check(self, user_id: int, tokens: int, cost: int) -> None:
        day, month = self.day(), self.month()
        tomorrow = day + timedelta(days=1)
        today = self.today(user_id)
        if today.limit and today.tokens + today.reserved + tokens > today.limit:
            raise BudgetUsedUp(resets=tomorrow)
        if not (self.daily_yuan or self.monthly_yuan):
            return
        spent_today, spent = Usage.micro_yuan_since(day, month)
        if self.daily_yuan and spent_today + cost > self.daily_yuan * MILLION:
            raise AppBudgetUsedUp(resets=tomorrow)
        if self.monthly_yuan and spent + cost > self.monthly_yuan * MILLION:
            next_month = (month + timedelta(days=32)).replace(day=1)
            raise MonthlyBudgetUsedUp(resets=next_month)


def _tokens(calls: Sequence[Used]) -> int:
    return sum(call.total for call in calls)
