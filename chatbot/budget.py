"""What turns cost and whether they may be started: pure functions of what has been used.

What has been used is for `storage/usage.py` to say, and `turns/purse.py` brings the two together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Self
from zoneinfo import ZoneInfo

from chatbot.catalog import DEAREST, Prices, prices_of
from chatbot.config import Settings
from chatbot.errors import AppBudgetUsedUp, BudgetUsedUp, MonthlyBudgetUsedUp
from chatbot.usage import AppUsage, Numbers, PersonUsage, Used
from chatbot.views import Today

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

    def numbers(self, calls: Sequence[Used]) -> Numbers:
        """What these calls use together, each priced alone: prices may depend on the length of one
        request."""
        used = sum(calls, Used())
        each = (self.prices.micro_yuan(one.prompt, one.cached, one.completion) for one in calls)
        saved = (self.prices.saved(call.cached, call.prompt) for call in calls)
        return Numbers(
            prompt_tokens=used.prompt,
            cached_tokens=used.cached,
            completion_tokens=used.completion,
            reasoning_tokens=used.reasoning,
            micro_yuan=min(sum(each), MOST_MICRO_YUAN),
            saved_micro_yuan=min(sum(saved), MOST_MICRO_YUAN),
        )

    def check(
        self, person: PersonUsage, app: AppUsage, tokens: int, micro_yuan: int, at: datetime
    ) -> None:
        """Return if so much more may be set aside, beside what is used.

        Raises `BudgetUsedUp`, `AppBudgetUsedUp` or `MonthlyBudgetUsedUp`, with when it resets.
        """
        tomorrow = self.day(at) + timedelta(days=1)
        today = self.today(person)
        if today.limit and today.tokens + today.reserved + tokens > today.limit:
            raise BudgetUsedUp(resets=tomorrow)
        if self.daily_yuan and app.today + micro_yuan > self.daily_yuan * MILLION:
            raise AppBudgetUsedUp(resets=tomorrow)
        if self.monthly_yuan and app.this_month + micro_yuan > self.monthly_yuan * MILLION:
            next_month = (self.month(at) + timedelta(days=32)).replace(day=1)
            raise MonthlyBudgetUsedUp(resets=next_month)

    def today(self, person: PersonUsage) -> Today:
        """What a person has used today, with the limit that holds for them."""
        limit = self.user_daily_tokens if person.limit is None else person.limit
        return Today(person.tokens, person.micro_yuan, person.reserved, limit)

    def day(self, at: datetime) -> datetime:
        """When the day of the budget began that this moment belongs to."""
        return at.astimezone(self.zone).replace(hour=0, minute=0, second=0, microsecond=0)

    def month(self, at: datetime) -> datetime:
        """When the month of the budget began that this moment belongs to."""
        return self.day(at).replace(day=1)

    @property
    def limits_yuan(self) -> bool:
        return bool(self.daily_yuan or self.monthly_yuan)
