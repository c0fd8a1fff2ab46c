"""What the models of Ark cost, by an independent table, and which memory each is given."""

import pytest

from chatbot.budget import prices_are_known, prices_for
from chatbot.catalog import (
    DEAREST,
    PRICES,
    kinds_of,
    known_name,
    label_of,
    prices_of,
    wire_name,
)  # fmt: skip
from chatbot.config import Settings

# Input tokens; yuan per million of input, cached and output, as the price list has them.
LISTED = [
    ("doubao-seed-2-1-lite-260915", 1_000, 0.80, 0.16, 2.70),
    ("doubao-seed-2-1-lite-260915", 1_000_000, 0.80, 0.16, 2.70),
    ("doubao-seed-2-1-pro-260915", 500_000, 6, 1.20, 30),
    ("doubao-seed-2-1-pro-260628", 200_000, 6, 1.20, 30),
    ("doubao-seed-2-1-turbo-260628", 200_000, 3, 0.60, 15),
    ("doubao-seed-evolving", 1, 6, 1.20, 30),
    ("doubao-seed-2-0-lite-260428", 32_000, 0.60, 0.12, 3.60),
    ("doubao-seed-2-0-lite-260428", 32_001, 0.90, 0.18, 5.40),
    ("doubao-seed-2-0-lite-260428", 128_000, 0.90, 0.18, 5.40),
    ("doubao-seed-2-0-lite-260428", 128_001, 1.80, 0.36, 10.80),
    ("doubao-seed-2-0-mini-260428", 10, 0.20, 0.04, 2),
    ("doubao-seed-2-0-mini-260428", 100_000, 0.40, 0.08, 4),
    ("doubao-seed-2-0-mini-260428", 200_000, 0.80, 0.16, 8),
    ("doubao-seed-character-260628", 32_000, 0.80, 0.16, 2),
    ("doubao-seed-character-260628", 90_000, 1.20, 0.16, 6),
    ("deepseek-v4-pro-ga-260813", 1, 9, 0.30, 27),
    ("deepseek-v4-flash-ga-260731", 1, 3, 0.10, 9),
    ("deepseek-v4-1-flash-260910", 1, 2, 0.04, 8),
    ("glm-5-2-260617", 1, 8, 2, 28),
    ("doubao-1-5-pro-32k-250115", 1, 0.80, 0.16, 2),
]


@pytest.mark.parametrize(("model", "prompt", "given", "cached", "output"), LISTED)
@pytest.mark.parametrize("setting", ["{}", "ep-20260101-abcde={}"])
def test_a_call_costs_what_the_list_says(setting, model, prompt, given, cached, output):
    prices = prices_for(setting.format(model))
    hit, written = prompt // 3, 4_321
    exact = (prompt - hit) * given + hit * cached + written * output
    assert exact - 1e-6 <= prices.micro_yuan(prompt, hit, written) <= exact + 1
    assert prices.saved(hit, prompt) == int(hit * (given - cached))


@pytest.mark.parametrize(
    "model", ["ep-20260101-abcde", "doubao-seed-3-0-pro-270101", "gpt-9", "doubao-seed-1-6-250615"]
)
def test_what_is_not_listed_costs_as_much_as_the_dearest(model):
    prices = prices_for(model)
    for known in PRICES.values():
        for prompt in (1, 50_000, 500_000):
            assert prices.micro_yuan(prompt, 0, 5_000) >= known.micro_yuan(prompt, 0, 5_000)
            assert prices.micro_yuan(prompt, prompt, 0) >= known.micro_yuan(prompt, prompt, 0)
    assert prices == DEAREST


def test_prices_set_by_the_owner_hold_at_any_length():
    mini = prices_for("doubao-seed-2-0-mini-260428", input=5.0, output=None)
    assert [mini.micro_yuan(n, 0, 0) for n in (1, 200_000)] == [5, 1_000_000]
    assert mini.micro_yuan(200_000, 0, 1) == 1_000_008
    unknown = prices_for("ep-1", input=1.0, cached=0.5, output=2.0, storage=0.0)
    assert (unknown.micro_yuan(10, 4, 3), unknown.storage) == (6 + 2 + 6, 0.0)


@pytest.mark.parametrize(
    ("model", "prices", "known"),
    [
        ("doubao-seed-2-1-lite-260915", {}, True),
        ("ep-1=doubao-seed-2-1-lite-260915", {}, True),
        ("ep-1", {}, False),
        ("ep-1", {"price_input": 1, "price_output": 2}, False),
        ("ep-1", {"price_input": 1, "price_cached": 0, "price_output": 2}, True),
    ],
)
def test_whether_prices_are_known(model, prices, known):
    settings = Settings(_env_file=None, ark_model=model, **prices)
    assert prices_are_known(settings, model) is known


@pytest.mark.parametrize(
    ("setting", "wire", "name"),
    [
        ("ep-1", "ep-1", "ep-1"),
        ("ep-1=doubao-seed-2-1-pro-260915", "ep-1", "doubao-seed-2-1-pro-260915"),
        (" ep-1 = glm-5-2-260617 ", "ep-1", "glm-5-2-260617"),
        ("qwen3:8b", "qwen3:8b", "qwen3:8b"),
    ],
)
def test_an_endpoint_may_say_whose_it_is(setting, wire, name):
    assert (wire_name(setting), known_name(setting)) == (wire, name)


@pytest.mark.parametrize(
    ("model", "kinds"),
    [
        ("doubao-seed-2-1-lite-260915", "responses chat"),
        ("doubao-seed-1-6-250615", "responses chat"),
        ("seed-1-6-250915", "responses chat"),
        ("deepseek-v4-pro-ga-260813", "responses chat"),
        ("deepseek-v3-1-250821", "responses chat"),
        ("deepseek-v3-250324", "chat"),
        ("glm-5-2-260617", "responses chat"),
        ("doubao-1-5-pro-32k-250115", "context chat"),
        ("ep-1=doubao-1-5-lite-32k-250115", "context chat"),
        ("ep-1=doubao-seed-2-1-lite-260915", "responses chat"),
        ("ep-1", "responses context chat"),
        ("somebody-elses-model", "responses context chat"),
    ],
)
def test_the_kinds_of_memory_to_try(model, kinds):
    assert " ".join(kinds_of(model)) == kinds


def test_every_listed_model_is_known_by_its_own_name():
    assert all(prices_of(name) is prices for name, prices in PRICES.items())


@pytest.mark.parametrize(
    ("model", "label"),
    [
        ("doubao-seed-2-1-lite-260915", "Doubao Seed 2.1 Lite"),
        ("ep-20260101-abcde=doubao-seed-2-1-pro-260915", "Doubao Seed 2.1 Pro"),
        ("doubao-1-5-pro-32k-250115", "Doubao 1.5 Pro 32K"),
        ("deepseek-v4-1-flash-260910", "DeepSeek V4.1 Flash"),
        ("ep-20260101-abcde", ""),
        ("gpt-4o", "gpt-4o"),
        ("Qwen/Qwen2-7B", "Qwen/Qwen2-7B"),
    ],
)
def test_people_see_a_name_and_no_endpoint(model, label):
    assert label_of(model) == label
