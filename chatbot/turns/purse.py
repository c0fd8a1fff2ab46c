"""Reserves the most that a turn can use before Ark is called, and computes what it has used.

The functions run inside write transactions. So a limit also holds for turns that start at the same
time, even in several processes.
"""

from collections.abc import Sequence
from datetime import datetime

from chatbot.budget import Budget
from chatbot.errors import Paused
from chatbot.storage import switches, turns, usage
from chatbot.storage.current import now
from chatbot.storage.turn_values import StartedTurn
from chatbot.usage import AppUsage, Numbers, Used
from chatbot.views import Today

PAUSE = "paused"
NOTHING = AppUsage(0, 0)


class Purse:
    """Checks the budgets of people and of the app against the database."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget

    def reserve(
        self, turn: StartedTurn, calls: Sequence[Used], before: Sequence[Used] = ()
    ) -> None:
        """Reserve what these calls can use; this replaces what was reserved `before`.

        Raises `Paused`, `BudgetUsedUp` or a subclass, or `ChangedElsewhere` if another process has
        ended the turn meanwhile. Then nothing is changed.
        """
        usage.hold()
        if self.is_paused():
            raise Paused()
        most = self.budget.numbers(turn.model, calls)
        less = self.budget.numbers(turn.model, before)
        tokens, micro_yuan = most.tokens - less.tokens, most.micro_yuan - less.micro_yuan
        if tokens > 0 or micro_yuan > 0:
            self._check(turn.user_id, tokens, micro_yuan)
        turns.reserve(turn.id, most)

    def used(self, model: str, calls: Sequence[Used]) -> Numbers:
        """What these calls of a model have used, and their price."""
        return self.budget.numbers(model, calls)

    def today(self, user_id: int) -> Today:
        """What a person has used and reserved since the day began."""
        return self.budget.today(usage.of_person(user_id, self.budget.day(now())))

    def is_paused(self) -> bool:
        """Whether the setting or an admin's switch has paused all spending."""
        return self.budget.paused or switches.is_on(PAUSE)

    def _check(self, user_id: int, tokens: int, micro_yuan: int) -> None:
        at = now()
        person = usage.of_person(user_id, self.budget.day(at))
        app = self._app(at) if self.budget.limits_yuan else NOTHING
        self.budget.check(person, app, tokens, micro_yuan, at)

    def _app(self, at: datetime) -> AppUsage:
        return usage.of_app(self.budget.day(at), self.budget.month(at))
