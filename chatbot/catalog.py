"""The Ark models that this app knows: their kinds of memory and their prices.

From Volcengine's model list (docs/82379/1330310) and price list (docs/82379/1544106). Prices change
without notice: `READ_ON` says how old these are, and PRICE_INPUT and the others replace them.
"""

import re
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Self

READ_ON = date(2026, 10, 6)
ENDPOINT = "ep-"
OFFLINE_MODEL = "ep-offline-demo"
"""The model of the local Ark. It is not listed below, so the demo tries every kind of memory,
the best first."""
K = 1000


@dataclass(frozen=True)
class Tier:
    """Yuan per million tokens, for requests whose input has more than `above` tokens."""

    above: int
    input: float
    cached: float
    output: float


@dataclass(frozen=True)
class Prices:
    """Yuan per million tokens; `storage` is per million cached tokens and hour.

    For a request with a long input all tokens cost more: the last of `tiers` that it reaches
    replaces the first three fields.
    """

    input: float
    cached: float
    output: float
    storage: float
    tiers: tuple[Tier, ...] = ()

    def micro_yuan(self, prompt: int, cached: int, completion: int) -> int:
        """The price of one call (docs/82379/1544106) in millionths of a yuan, rounded up."""
        tier = self._tier(prompt)
        fresh = max(prompt - cached, 0)
        return -int(-(fresh * tier.input + cached * tier.cached + completion * tier.output) // 1)

    def saved(self, cached: int, prompt: int = 0) -> int:
        """The cost that the cache saved in a call with that prompt, in millionths of a yuan."""
        tier = self._tier(prompt)
        return int(cached * (tier.input - tier.cached))

    def set_by_owner(
        self, *, input: float | None, cached: float | None, output: float | None,
        storage: float | None,
    ) -> Self:  # fmt: skip
        """These prices, replaced where the owner has set one, for inputs of any length."""
        given = {"input": input, "cached": cached, "output": output}
        changes: dict[str, Any] = {name: one for name, one in given.items() if one is not None}
        tiers = tuple(replace(tier, **changes) for tier in self.tiers)
        kept = self.storage if storage is None else storage
        return replace(self, **changes, storage=kept, tiers=tiers)

    def _tier(self, prompt: int) -> "Tier | Prices":
        reached = [tier for tier in self.tiers if prompt > tier.above]
        return reached[-1] if reached else self


STORAGE = 0.017
PRICES = {
    "doubao-seed-2-1-lite-260915": Prices(0.80, 0.16, 2.70, STORAGE),
    "doubao-seed-2-1-pro-260915": Prices(6, 1.20, 30, STORAGE),
    "doubao-seed-2-1-pro-260628": Prices(6, 1.20, 30, STORAGE),
    "doubao-seed-2-1-turbo-260628": Prices(3, 0.60, 15, STORAGE),
    "doubao-seed-evolving": Prices(6, 1.20, 30, STORAGE),
    "doubao-seed-2-0-lite-260428": Prices(
        0.60, 0.12, 3.60, STORAGE,
        (Tier(32 * K, 0.90, 0.18, 5.40), Tier(128 * K, 1.80, 0.36, 10.80)),
    ),
    "doubao-seed-2-0-mini-260428": Prices(
        0.20, 0.04, 2, STORAGE, (Tier(32 * K, 0.40, 0.08, 4), Tier(128 * K, 0.80, 0.16, 8))
    ),
    "doubao-seed-character-260628": Prices(0.80, 0.16, 2, STORAGE, (Tier(32 * K, 1.20, 0.16, 6),)),
    "deepseek-v4-pro-ga-260813": Prices(9, 0.30, 27, STORAGE),
    "deepseek-v4-flash-ga-260731": Prices(3, 0.10, 9, STORAGE),
    # Prices of the peak hours; at other times it costs half.
    "deepseek-v4-1-flash-260910": Prices(2, 0.04, 8, STORAGE),
    "glm-5-2-260617": Prices(8, 2, 28, STORAGE),
    # The price of cached input is unknown: counted like other input.
    "glm-5-3-flash-260828": Prices(0.80, 0.80, 2.80, STORAGE),
    # The last models of the Context API, from their model cards of 2025.
    "doubao-1-5-pro-32k-250115": Prices(0.80, 0.16, 2, STORAGE),
    "doubao-1-5-pro-32k-character-250715": Prices(0.80, 0.16, 2, STORAGE),
    "doubao-1-5-lite-32k-250115": Prices(0.30, 0.06, 0.60, STORAGE),
}  # fmt: skip
_RATES: list[Prices | Tier] = list(PRICES.values())
_RATES += [tier for prices in PRICES.values() for tier in prices.tiers]
DEAREST = Prices(
    input=max(rate.input for rate in _RATES),
    cached=max(rate.cached for rate in _RATES),
    output=max(rate.output for rate in _RATES),
    storage=STORAGE,
)
"""For models that are not listed, and for endpoints whose model is unknown."""

# By the start of the id. The Responses API serves models from 2025-06-15 on, contexts serve
# doubao-1.5. Only a call shows whether the Context API still works.
KINDS: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("doubao-1-5-", "doubao-pro-", "doubao-lite-"), ("context", "chat")),
    (("doubao-seed-", "seed-", "glm-", "kimi-k2",
      "deepseek-v3-1-", "deepseek-v3-2-", "deepseek-v4-"), ("responses", "chat")),
    (("deepseek-",), ("chat",)),
]  # fmt: skip
MAKERS = {
    "doubao": "Doubao", "seed": "Seed", "deepseek": "DeepSeek", "glm": "GLM", "kimi": "Kimi",
}  # fmt: skip
DATE = re.compile(r"\d{6}")
RELEASE = ("ga", "preview")
ANY_KIND = ("responses", "context", "chat")


def wire_name(model: str) -> str:
    """The name to send to Ark: the endpoint's id if the setting also names its model."""
    return model.partition("=")[0].strip()


def known_name(model: str) -> str:
    """The model of a setting: `ep-2026…=doubao-seed-2-1-pro-260915` names it; for a bare endpoint
    id it is unknown and the id is returned."""
    endpoint, _, name = model.partition("=")
    return name.strip() or endpoint.strip()


def label_of(model: str) -> str:
    """The display name of a model: "Doubao Seed 2.1 Lite"; empty for an endpoint whose model is
    unknown. For a model of another vendor it is the id."""
    name = known_name(model)
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


def kinds_of(model: str) -> tuple[str, ...]:
    """The kinds of memory to try for an Ark model, the best first."""
    name = known_name(model)
    return next((kinds for starts, kinds in KINDS if name.startswith(starts)), ANY_KIND)


def prices_of(model: str) -> Prices | None:
    """The prices of an Ark model; None if it is not listed."""
    return PRICES.get(known_name(model))
