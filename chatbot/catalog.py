"""The models: what each can do, what it costs, and which of them ARK_MODEL offers.

`model_file.py` reads them from `data/models.yaml`. Pure values; nothing here opens a file.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal, Self

MemoryKind = Literal["responses", "context", "chat"]
Input = Literal["image", "pdf"]
Thinking = Literal["off", "on", "low", "medium", "high"]

ENDPOINT = "ep-"
ANY_KIND: tuple[MemoryKind, ...] = ("responses", "context", "chat")
"""The kinds of memory to try for a model that is not listed."""
STORAGE = 0.017
"""Yuan per million cached tokens and hour (docs/82379/1544106)."""
SEARCH = 4.0
"""Yuan per thousand searches (docs/82379/1338550)."""


@dataclass(frozen=True)
class Tier:
    """Yuan per million tokens, for requests whose input has more than `above` tokens."""

    above: int
    input: float
    cached: float
    output: float


@dataclass(frozen=True)
class Prices:
    """Yuan per million tokens; `storage` is per million cached tokens and hour, `search` per
    thousand searches.

    For a request with a long input all tokens cost more: the last of `tiers` that it reaches
    replaces the first three fields.
    """

    input: float
    cached: float
    output: float
    storage: float = STORAGE
    tiers: tuple[Tier, ...] = ()
    search: float = SEARCH

    def micro_yuan(self, prompt: int, cached: int, completion: int, searches: int = 0) -> int:
        """The price of one call (docs/82379/1544106) in millionths of a yuan, rounded up."""
        tier = self._tier(prompt)
        fresh = max(prompt - cached, 0)
        tokens = fresh * tier.input + cached * tier.cached + completion * tier.output
        return -int(-(tokens + searches * self.search * 1000) // 1)

    def saved(self, cached: int, prompt: int = 0) -> int:
        """The cost that the cache saved in a call with that prompt, in millionths of a yuan."""
        tier = self._tier(prompt)
        return int(cached * (tier.input - tier.cached))

    def set_by_owner(
        self,
        *,
        input: float | None = None,
        cached: float | None = None,
        output: float | None = None,
        storage: float | None = None,
        search: float | None = None,
    ) -> Self:
        """These prices, replaced where the owner has set one, for inputs of any length."""
        given = {"input": input, "cached": cached, "output": output}
        changes: dict[str, Any] = {name: one for name, one in given.items() if one is not None}
        tiers = tuple(replace(tier, **changes) for tier in self.tiers)
        others = {"storage": storage, "search": search}
        changes |= {name: one for name, one in others.items() if one is not None}
        return replace(self, **changes, tiers=tiers)

    def _tier(self, prompt: int) -> "Tier | Prices":
        reached = [tier for tier in self.tiers if prompt > tier.above]
        return reached[-1] if reached else self


@dataclass(frozen=True)
class Model:
    """A model as the app calls it and shows it."""

    name: str
    """As ARK_MODEL names it; stored with each turn."""
    label: str = ""
    """In English; empty for an endpoint whose model is unknown."""
    label_zh: str = ""
    kinds: tuple[MemoryKind, ...] = ANY_KIND
    """The kinds of memory to try, the best first."""
    inputs: tuple[Input, ...] = ()
    """What it reads besides text."""
    thinking: tuple[Thinking, ...] = ("off", "on")
    """What a user can choose."""
    search: bool = False
    window: int | None = None
    """Most tokens of input and output together; None if unknown."""
    output: int | None = None
    """Most tokens of a reply, thoughts included; None if unknown."""
    prices: Prices | None = None
    """None if unknown."""
    retired: date | None = None
    """The day from which Ark does not serve it any more."""

    @property
    def wire_name(self) -> str:
        """The name to send to Ark."""
        return wire_name(self.name)

    def thinks(self, wanted: str) -> Thinking:
        """The choice of thinking for this model that is nearest to the wanted one."""
        same = [choice for choice in self.thinking if choice == wanted]
        on = [choice for choice in self.thinking if choice != "off"]
        return (same or (on if wanted != "off" else []) or list(self.thinking))[0]

    def is_retired(self, today: date) -> bool:
        return self.retired is not None and self.retired <= today


@dataclass(frozen=True)
class Catalog:
    """The models of `data/models.yaml`, by id, and the day their prices were read."""

    models: Mapping[str, Model]
    prices_read: date

    def model(self, setting: str) -> Model:
        """The model for one name of ARK_MODEL: `id`, `ep-…` or `ep-…=id`."""
        known = known_name(setting)
        return replace(self.models.get(known) or Model(known, label_of(known)), name=setting)

    @property
    def dearest(self) -> Prices:
        """The highest prices of all models, for models whose price is unknown."""
        every = [model.prices for model in self.models.values() if model.prices is not None]
        rates: list[Prices | Tier] = [*every, *(tier for one in every for tier in one.tiers)]
        return Prices(
            input=max(rate.input for rate in rates),
            cached=max(rate.cached for rate in rates),
            output=max(rate.output for rate in rates),
        )


class Models:
    """The models that ARK_MODEL offers; the first is the default. Never empty."""

    def __init__(self, offered: Iterable[Model], prices: Mapping[str, Prices]) -> None:
        self._by_name = {model.name: model for model in offered}
        self._prices = prices
        self.off: frozenset[str] = frozenset()
        """The names of the models that an admin has switched off."""

    @property
    def all(self) -> Sequence[Model]:
        """Also those that are switched off."""
        return list(self._by_name.values())

    @property
    def on(self) -> Sequence[Model]:
        """The models that users can choose; all, if every one is switched off."""
        return [model for model in self.all if model.name not in self.off] or self.all

    @property
    def default(self) -> Model:
        return self.on[0]

    @property
    def storage_price(self) -> float:
        """Yuan per million cached tokens and hour; the highest of all."""
        return max(prices.storage for prices in self._prices.values())

    def get(self, name: str) -> Model:
        """The model of this name; the default if it is not offered (any more)."""
        found = self._by_name.get(name)
        return found if found is not None and name not in self.off else self.default

    def known(self, name: str) -> Model:
        """The model of this name, also if it is switched off; of another one only its name."""
        return self._by_name.get(name) or Model(name, label_of(known_name(name)))

    def prices(self, name: str) -> Prices:
        """What the model of this name costs; the dearest if its price is unknown."""
        found = self._prices.get(name)
        return found if found is not None else self._prices[self.default.name]

    def kinds(self, name: str) -> tuple[MemoryKind, ...]:
        """The kinds of memory to try for the model of this name, the best first."""
        return self.known(name).kinds

    def after(self, name: str, reads: Input | None = None) -> Model | None:
        """The model to offer when the one of this name cannot be used; None if there is none that
        `reads` this."""
        others = [model for model in self.on if model.name != name]
        fitting = (model for model in others if reads is None or reads in model.inputs)
        return next(fitting, None)


def names_of(setting: str) -> list[str]:
    """The names in an ARK_MODEL setting, which are separated by commas."""
    return [name for part in setting.split(",") if (name := part.strip())]


def wire_name(name: str) -> str:
    """The name to send to Ark: the endpoint's id if the setting also names its model."""
    return name.partition("=")[0].strip()


def known_name(name: str) -> str:
    """The model of a setting: `ep-2026…=doubao-seed-2-1-pro-260915` names it; for a bare endpoint
    id it is unknown and the id is returned."""
    endpoint, _, model = name.partition("=")
    return model.strip() or endpoint.strip()


def _demo(kind: MemoryKind, label: str, label_zh: str, **more: Any) -> Model:
    return Model(f"ep-offline-{kind}", label, label_zh, (kind,), prices=DEMO_PRICES, **more)


DEMO_PRICES = Prices(0.80, 0.16, 2.70)
DEMO = (
    _demo(
        "responses", "Offline demo", "离线演示",
        inputs=("image", "pdf"), thinking=("off", "low", "medium", "high"), search=True,
    ),
    _demo("context", "Offline demo: Context API", "离线演示：Context API", thinking=("off",)),
    _demo("chat", "Offline demo: Chat API", "离线演示：Chat API", inputs=("image",)),
)  # fmt: skip
"""The models of the local Ark: one for each kind of memory."""

MAKERS = {
    "doubao": "Doubao", "seed": "Seed", "deepseek": "DeepSeek", "glm": "GLM", "kimi": "Kimi",
}  # fmt: skip
DATE = re.compile(r"\d{6}")
RELEASE = ("ga", "preview")


def label_of(name: str) -> str:
    """The display name of a model that is not listed, from its id: "Doubao Seed 3.0 Lite"; empty
    for an endpoint whose model is unknown. For a model of another vendor it is the id."""
    if name.startswith(ENDPOINT):
        return ""
    maker, *words = name.split("-")
    if maker not in MAKERS:
        return name
    label = MAKERS[maker]
    for word in words:
        if DATE.fullmatch(word) or word in RELEASE:
            continue
        is_second = word.isdecimal() and label[-1].isdecimal()
        shown = word.upper() if any(map(str.isdecimal, word)) else word.capitalize()
        label += f".{word}" if is_second else f" {shown}"
    return label
