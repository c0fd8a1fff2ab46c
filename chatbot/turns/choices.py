"""What holds for a session: the choices of its user within the owner's limits, and all choices."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from chatbot.catalog import Model, Models
from chatbot.options import Bounds, Options, Settled, settle
from chatbot.views import Choice, Chosen


class Choices:
    """The choices of all sessions. `kind_for` tells which kind of memory a model has now,
    `can_search` whether it takes web search."""

    def __init__(
        self,
        models: Models,
        bounds: Bounds,
        kind_for: Callable[[str], str],
        can_search: Callable[[str], bool],
    ) -> None:
        self.models = models
        self.bounds = bounds
        self._kind_for = kind_for
        self._can_search = can_search

    def allowed(self, changes: dict[str, Any]) -> dict[str, Any]:
        """The changes, without a model that is not offered, and with instructions cut to the
        owner's limit."""
        allowed = dict(changes)
        if allowed.get("model", "") not in ("", *(model.name for model in self.models.all)):
            del allowed["model"]
        if isinstance(allowed.get("instructions"), str):
            allowed["instructions"] = allowed["instructions"][: self.bounds.max_instructions]
        return allowed

    def settled(self, stored: str) -> Settled:
        """What a turn runs with, by what is stored of a user's choice."""
        return _settled(stored, self.models, self.models.off, self.bounds)

    def chosen(self, stored: str) -> Chosen:
        """The same as the page shows it, with what else can be chosen."""
        names = [model.name for model in self.models.on]
        kinds = tuple(map(self._kind_for, names))
        search = tuple(self.bounds.search and self._can_search(name) for name in names)
        return _chosen(stored, self.models, self.models.off, kinds, search, self.bounds)


# Each look at a session asks for both, and most sessions have the same few choices.


@lru_cache(1_000)
def _settled(stored: str, models: Models, _off: frozenset[str], bounds: Bounds) -> Settled:
    return settle(Options.read(stored), models, bounds)


@lru_cache(1_000)
def _chosen(
    stored: str,
    models: Models,
    off: frozenset[str],
    kinds: tuple[str, ...],
    search: tuple[bool, ...],
    bounds: Bounds,
) -> Chosen:
    settled = _settled(stored, models, off, bounds)
    return Chosen(
        model=settled.model.name,
        thinking=settled.thinking,
        search=settled.search,
        temperature=settled.temperature,
        top_p=settled.top_p,
        max_tokens=settled.max_tokens,
        instructions=settled.instructions,
        choices=tuple(map(_choice, models.on, kinds, search)),
        most_tokens=min(bounds.max_tokens, settled.model.output or bounds.max_tokens),
        max_temperature=bounds.max_temperature,
        max_instructions=bounds.max_instructions,
        default_thinking=bounds.thinking,
    )


def _choice(model: Model, kind: str, search: bool) -> Choice:
    return Choice(
        name=model.name,
        label=model.label,
        label_zh=model.label_zh or model.label,
        # Contexts have neither thinking nor tools.
        thinking=model.thinking if kind != "context" else model.thinking[:1],
        search=model.search and search,
        inputs=model.inputs if kind != "context" else (),
    )
