"""A day's limit in yuan holds for every model: the local Ark's counts, at the vendor's prices."""

import random
from dataclasses import replace

import pytest

from chatbot.errors import AppBudgetUsedUp
from tests.conftest import BOUNDS, CATALOG, NO_LIMITS, finished, models_of, stored_turns
from tests.fake_ark import Fault

pytestmark = pytest.mark.anyio

# By hand from the vendor's price list of 2026-10-06: yuan per million tokens of input, cached input
# and output, each row up to so many tokens of input.
BILL = {
    "doubao-seed-2-1-lite-260915": [(10**9, 0.80, 0.16, 2.70)],
    "doubao-seed-2-1-pro-260915": [(10**9, 6, 1.20, 30)],
    "doubao-seed-2-1-pro-260628": [(10**9, 6, 1.20, 30)],
    "doubao-seed-2-1-turbo-260628": [(10**9, 3, 0.60, 15)],
    "doubao-seed-evolving": [(10**9, 6, 1.20, 30)],
    "doubao-seed-2-0-lite-260428": [
        (32_000, 0.60, 0.12, 3.60), (128_000, 0.90, 0.18, 5.40), (10**9, 1.80, 0.36, 10.80),
    ],
    "doubao-seed-2-0-mini-260428": [
        (32_000, 0.20, 0.04, 2), (128_000, 0.40, 0.08, 4), (10**9, 0.80, 0.16, 8),
    ],
    "doubao-seed-character-260628": [(32_000, 0.80, 0.16, 2), (10**9, 1.20, 0.16, 6)],
    "deepseek-v4-pro-ga-260813": [(10**9, 9, 0.30, 27)],
    "deepseek-v4-flash-ga-260731": [(10**9, 3, 0.10, 9)],
    "deepseek-v4-1-flash-260910": [(10**9, 2, 0.04, 8)],
    "glm-5-2-260617": [(10**9, 8, 2, 28)],
    "glm-5-3-flash-260828": [(10**9, 0.80, 0.80, 2.80)],
    "ep-1=doubao-1-5-pro-32k-250115": [(10**9, 0.80, 0.16, 2)],
    "ep-1=doubao-1-5-pro-32k-character-250715": [(10**9, 0.80, 0.16, 2)],
    "ep-1=doubao-1-5-lite-32k-250115": [(10**9, 0.30, 0.06, 0.60)],
}  # fmt: skip
SEARCH = 0.004
"""Yuan for one web search."""


def cost(rows, usage):
    _, fresh, cached, output = next(row for row in rows if usage.prompt <= row[0])
    tokens = (usage.prompt - usage.cached) * fresh + usage.cached * cached
    return (tokens + usage.completion * output) / 1_000_000 + usage.searches * SEARCH


def test_the_bill_has_every_model_of_the_table():
    assert {name.removeprefix("ep-1=") for name in BILL} == {
        name for name, one in CATALOG.models.items() if one.prices
    }


@pytest.mark.parametrize("model", sorted(BILL))
async def test_what_ark_bills_in_a_day_never_passes_the_limit(open_chat, ark, model):
    rows, chance = BILL[model], random.Random(model)
    # Some turns of a thousand tokens.
    daily = 10 * rows[0][3] / 1000 + 8 * SEARCH
    budget = replace(NO_LIMITS, prices=models_of(model).prices, daily_yuan=daily)
    bounds = replace(BOUNDS, max_tokens=1_000)
    refused = 0
    async with open_chat(memory="auto", model=model, budget=budget, bounds=bounds) as chat:
        one = await chat.started()
        while refused < 3:
            search = chance.random() < 0.2
            changes = {"search": search, "thinking": chance.choice(["off", "high"])}
            await chat.service.choose(chat.user_id, one, changes)
            if chance.random() < 0.2:
                ark.fail_next(chance.choice([Fault.drop(3), Fault.with_usage("none")]))
            words = chance.choice(["long", "count 300", "What is the news today?", "x" * 3_000])
            try:
                await finished(await chat.send(one, words))
            except AppBudgetUsedUp:
                refused += not search
            if chance.random() < 0.2:
                one = await chat.started()
        kinds = {turn.memory_kind for turn in await stored_turns(chat)}
    assert kinds == {"context" if "doubao-1-5-" in model else "responses"}
    spent = sum(cost(rows, answer.usage) for _, answer in ark.billed)
    # Turns whose usage was not told count with their estimates.
    assert daily / 8 < spent <= daily
    assert {name for name, _ in ark.billed} == {model.partition("=")[0]}
