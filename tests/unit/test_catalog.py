"""What the models of Ark cost, by an independent table, and which memory each is given."""

from datetime import date, timedelta

import pytest

from chatbot.bootstrap import create_app
from chatbot.budget import prices_are_known
from chatbot.catalog import DEMO, Model, Models, label_of, names_of
from chatbot.config import ROOT, Settings
from chatbot.errors import BadSettings
from chatbot.model_file import configured_models, read_models

CATALOG = read_models(ROOT / "data" / "models.yaml")


def configured(model, **settings):
    return configured_models(Settings(_env_file=None, ark_api_key="k", ark_model=model, **settings))


def prices_for(model, **settings):
    return configured(model, **settings).prices(model)


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
    for known in filter(None, (one.prices for one in CATALOG.models.values())):
        for prompt in (1, 50_000, 500_000):
            assert prices.micro_yuan(prompt, 0, 5_000) >= known.micro_yuan(prompt, 0, 5_000)
            assert prices.micro_yuan(prompt, prompt, 0) >= known.micro_yuan(prompt, prompt, 0)
    assert prices == CATALOG.dearest


def test_prices_set_by_the_owner_hold_at_any_length():
    mini = prices_for("doubao-seed-2-0-mini-260428", price_input=5.0)
    assert [mini.micro_yuan(n, 0, 0) for n in (1, 200_000)] == [5, 1_000_000]
    assert mini.micro_yuan(200_000, 0, 1) == 1_000_008
    unknown = prices_for(
        "ep-1", price_input=1.0, price_cached=0.5, price_output=2.0, price_storage=0.0
    )
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
    assert prices_are_known(settings, CATALOG.model(model)) is known


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
    model = CATALOG.model(setting)
    listed = CATALOG.models.get(name)
    assert model.wire_name == wire
    assert (model.label, model.prices) == (
        (listed.label, listed.prices) if listed else (label_of(name), None)
    )


@pytest.mark.parametrize(
    ("model", "kinds"),
    [
        ("doubao-seed-2-1-lite-260915", "responses chat"),
        ("deepseek-v4-pro-ga-260813", "responses chat"),
        ("glm-5-2-260617", "responses chat"),
        ("doubao-1-5-pro-32k-250115", "context chat"),
        ("ep-1=doubao-1-5-lite-32k-250115", "context chat"),
        ("ep-1=doubao-seed-2-1-lite-260915", "responses chat"),
        ("ep-1", "responses context chat"),
        ("doubao-seed-1-6-250615", "responses chat"),
        ("doubao-seed-1-6-251015", "responses context chat"),
        ("somebody-elses-model", "responses context chat"),
    ],
)
def test_the_kinds_of_memory_to_try(model, kinds):
    assert " ".join(CATALOG.model(model).kinds) == kinds


# By hand from the vendor's list: window, reply, pictures, PDF, and whether it can stop thinking.
ABILITIES = [
    ("doubao-seed-2-1-lite-260915", 1_024_000, 256_000, True, False, True),
    ("doubao-seed-2-1-pro-260915", 1_024_000, 256_000, True, True, True),
    ("doubao-seed-2-1-pro-260628", 256_000, 256_000, True, True, True),
    ("doubao-seed-2-1-turbo-260628", 256_000, 256_000, True, True, True),
    ("doubao-seed-evolving", 1_024_000, 256_000, True, True, True),
    ("doubao-seed-2-0-lite-260428", 256_000, 128_000, True, False, True),
    ("doubao-seed-2-0-mini-260428", 256_000, 128_000, True, False, True),
    ("doubao-seed-character-260628", 128_000, 32_000, True, False, True),
    ("deepseek-v4-pro-ga-260813", 1_024_000, 384_000, False, False, True),
    ("deepseek-v4-flash-ga-260731", 1_024_000, 384_000, False, False, True),
    ("deepseek-v4-1-flash-260910", None, None, True, False, True),
    ("glm-5-2-260617", 1_024_000, 128_000, False, False, True),
    ("glm-5-3-flash-260828", 1_024_000, 128_000, True, False, False),
]


@pytest.mark.parametrize(("name", "window", "output", "image", "pdf", "off"), ABILITIES)
def test_what_the_models_of_today_can_do(name, window, output, image, pdf, off):
    model = CATALOG.models[name]
    assert (model.window, model.output) == (window, output)
    assert ("image" in model.inputs, "pdf" in model.inputs) == (image, pdf)
    assert ("off" in model.thinking) is off
    assert (model.search, model.kinds) == (True, ("responses", "chat"))


def test_every_model_of_today_is_listed():
    current = {
        name
        for name, model in CATALOG.models.items()
        if not (name.startswith("doubao-1-5-") or model.retired)
    }
    assert current == {row[0] for row in ABILITIES}


RETIRED = {
    "doubao-seed-2-0-pro-260215": "2026-11-24",
    "doubao-seed-2-0-lite-260215": "2026-10-22",
    "doubao-seed-2-0-mini-260215": "2026-10-22",
    "doubao-seed-1-6-250615": "2026-09-21",
}


def test_models_that_ark_has_switched_off_are_known_as_such():
    known = {name: str(one.retired) for name, one in CATALOG.models.items() if one.retired}
    assert known == RETIRED


@pytest.mark.parametrize(
    ("model", "wanted", "used"),
    [
        ("doubao-seed-2-1-lite-260915", "off", "off"),
        ("doubao-seed-2-1-lite-260915", "on", "low"),
        ("doubao-seed-2-1-lite-260915", "high", "high"),
        ("deepseek-v4-pro-ga-260813", "high", "on"),
        ("glm-5-3-flash-260828", "off", "low"),
        ("glm-5-3-flash-260828", "on", "on"),
        ("doubao-1-5-pro-32k-250115", "high", "off"),
        ("ep-1", "on", "on"),
    ],
)
def test_thinking_is_what_the_model_has_nearest_to_the_wish(model, wanted, used):
    assert CATALOG.model(model).thinks(wanted) == used


def test_several_models_are_offered_and_the_first_is_the_default():
    models = configured("ep-1=glm-5-2-260617, doubao-seed-2-1-lite-260915 ,ep-2")
    names = ["ep-1=glm-5-2-260617", "doubao-seed-2-1-lite-260915", "ep-2"]
    assert [model.name for model in models.all] == names
    assert models.default.label == "GLM 5.2"
    assert models.get("gone").name == names[0]
    assert models.after(names[0]).name == names[1]
    models.off = frozenset(names[:1])
    assert models.get(names[0]).name == names[1]
    assert [model.name for model in models.on] == names[1:]
    assert models.known(names[0]).label == "GLM 5.2"
    models.off = frozenset(names)
    assert [model.name for model in models.on] == names, "one has to answer"


def test_a_model_named_twice_is_refused():
    with pytest.raises(BadSettings, match="twice"):
        configured("ep-1, ep-1")


def test_prices_for_one_model_do_not_hold_for_several():
    with pytest.raises(ValueError, match="several"):
        configured("ep-1, ep-2", price_input=1)


def test_without_a_key_there_is_a_model_of_each_kind():
    models = configured_models(Settings(_env_file=None))
    assert models.all == list(DEMO)
    assert [model.kinds for model in models.all] == [("responses",), ("context",), ("chat",)]


def test_searches_cost_what_the_list_says():
    prices = prices_for("doubao-seed-2-1-lite-260915")
    assert prices.micro_yuan(0, 0, 0, 1) == 4_000
    assert prices_for("ep-1", price_search=8).micro_yuan(0, 0, 0, 3) == 24_000


def test_names_are_separated_by_commas():
    assert names_of(" a ,b,, ep-1 = c ") == ["a", "b", "ep-1 = c"]


def test_a_retired_model_is_known_as_such():
    day = date(2026, 11, 24)
    model = Model("m", retired=day)
    assert (model.is_retired(day), model.is_retired(day - timedelta(days=1))) == (True, False)
    assert Models([model], {"m": CATALOG.dearest}).default is model


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
    assert CATALOG.model(model).label == label


def test_the_start_names_models_without_a_price_and_retired_ones(tmp_path, caplog):
    settings = Settings(
        _env_file=None,
        ark_api_key="k",
        ark_model="doubao-seed-2-1-lite-260915, ep-1, doubao-seed-2-0-pro-260215",
        database_url=f"sqlite:///{tmp_path / 'chat.db'}",
    )
    with caplog.at_level("WARNING", logger="chatbot"):
        create_app(settings).close()
    told = [record.getMessage() for record in caplog.records]
    assert [line.partition(" is not known")[0] for line in told if "is not known" in line] == [
        "The price of ep-1",
        "The price of doubao-seed-2-0-pro-260215",
    ]
    assert "Ark does not serve doubao-seed-2-0-pro-260215 since 2026-11-24" in "".join(told)
