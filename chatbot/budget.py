"""Prices of turns, and whether the budget allows a new turn: pure functions of the usage.

`storage/usage.py` reads the usage; `turns/purse.py` connects the two.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Self
from zoneinfo import ZoneInfo

from chatbot.catalog import Model, Models, Prices
from chatbot.config import Settings
from chatbot.errors import AppBudgetUsedUp, BudgetUsedUp, MonthlyBudgetUsedUp
from chatbot.usage import AppUsage, Numbers, PersonUsage, Used
from chatbot.views import Today

MILLION = 1_000_000
MOST_MICRO_YUAN = 2_000_000_000
"""The most that is stored as the cost of one turn, 2,000 yuan: it must fit a 32-bit column."""

UNKNOWN_PRICES = (
    "The price of {model} is not known: each token counts at the dearest price of "
    "data/models.yaml until it has the model, PRICE_INPUT, PRICE_CACHED and PRICE_OUTPUT are set, "
    "or ARK_MODEL says whose endpoint it is (ep-…=model)."
)


def prices_are_known(settings: Settings, model: Model) -> bool:
    """Whether the prices of this model are listed or set by the owner."""
    chosen = (settings.price_input, settings.price_cached, settings.price_output)
    return model.prices is not None or None not in chosen


@dataclass(frozen=True)
class Budget:
    """The limits; 0 means no limit."""

    prices: Callable[[str], Prices]
    """What a model of this name costs."""
    user_daily_tokens: int
    daily_yuan: float
    monthly_yuan: float
    zone: tzinfo
    paused: bool = False

    @classmethod
    def of(cls, settings: Settings, models: Models) -> Self:
        """The budget from the settings, with the prices of these models."""
        return cls(
            prices=models.prices,
            user_daily_tokens=settings.user_daily_tokens,
            daily_yuan=settings.daily_yuan,
            monthly_yuan=settings.monthly_yuan,
            zone=ZoneInfo(settings.budget_zone),
            paused=settings.paused,
        )

    def numbers(self, model: str, calls: Sequence[Used]) -> Numbers:
        """The sum of these calls of a model. Each is priced alone, because prices may depend on the
        length of a request."""
        used, prices = sum(calls, Used()), self.prices(model)
        each = (
            prices.micro_yuan(one.prompt, one.cached, one.completion, one.searches) for one in calls
        )
        saved = (prices.saved(call.cached, call.prompt) for call in calls)
        return Numbers(
            prompt_tokens=used.prompt,
            cached_tokens=used.cached,
            completion_tokens=used.completion,
            reasoning_tokens=used.reasoning,
            searches=used.searches,
            micro_yuan=min(sum(each), MOST_MICRO_YUAN),
            saved_micro_yuan=min(sum(saved), MOST_MICRO_YUAN),
        )

    def check(
        self, person: PersonUsage, app: AppUsage, tokens: int, micro_yuan: int, at: datetime
    ) -> None:
        """Return if this many tokens and micro-yuan more may be reserved.

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
        """What a user has used today, with the user's limit."""
        limit = self.user_daily_tokens if person.limit is None else person.limit
        return Today(person.tokens, person.micro_yuan, person.reserved, limit)

    def day(self, at: datetime) -> datetime:
        """The start of the budget's day that contains this time."""
        return at.astimezone(self.zone).replace(hour=0, minute=0, second=0, microsecond=0)

    def month(self, at: datetime) -> datetime:
        """The start of the budget's month that contains this time."""
        return self.day(at).replace(day=1)

    @property
    def limits_yuan(self) -> bool:
        return bool(self.daily_yuan or self.monthly_yuan)
