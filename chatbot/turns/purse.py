"""Sets aside what a turn can use at most, before Ark is asked, and says what it has used.

Its functions run inside transactions that write, so a limit holds for turns that start at once, in
several processes, too.
"""

from collections.abc import Sequence
from datetime import datetime

from chatbot.budget import Budget
from chatbot.errors import Paused
from chatbot.storage import switches, turns, usage
from chatbot.storage.current import now
from chatbot.storage.turns import StartedTurn
from chatbot.usage import AppUsage, Numbers, Used
from chatbot.views import Today

PAUSE = "paused"
NOTHING = AppUsage(0, 0)


class Purse:
    """What people and the app may use, over the database."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget

    def set_aside(
        self, turn: StartedTurn, calls: Sequence[Used], before: Sequence[Used] = ()
    ) -> None:
        """Set aside what these calls can use, in the place of what was set aside `before`.

        Raises `Paused`, `BudgetUsedUp` and its kinds, or `ChangedElsewhere` when the turn was ended
        meanwhile by another process; nothing is changed then.
        """
        usage.hold()
        if self.is_paused():
            raise Paused()
        most, less = self.budget.numbers(calls), self.budget.numbers(before)
        tokens, micro_yuan = most.tokens - less.tokens, most.micro_yuan - less.micro_yuan
        if tokens > 0 or micro_yuan > 0:
            self._check(turn.user_id, tokens, micro_yuan)
        turns.reserve(turn.id, most)

    def used(self, calls: Sequence[Used]) -> Numbers:
        """What these calls have used, with its price."""
        return self.budget.numbers(calls)

    def today(self, user_id: int) -> Today:
        """What a person has used and set aside since the day began."""
        return self.budget.today(usage.of_person(user_id, self.budget.day(now())))

    def is_paused(self) -> bool:
        """Whether nothing may be spent: by the setting, or by the switch of an admin."""
        return self.budget.paused or switches.is_on(PAUSE)

    def _check(self, user_id: int, tokens: int, micro_yuan: int) -> None:
        at = now()
        person = usage.of_person(user_id, self.budget.day(at))
        app = self._app(at) if self.budget.limits_yuan else NOTHING
        self.budget.check(person, app, tokens, micro_yuan, at)

    def _app(self, at: datetime) -> AppUsage:
        return usage.of_app(self.budget.day(at), self.budget.month(at))
