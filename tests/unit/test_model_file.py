"""`data/models.yaml`: what is wrong in it is told with its line."""

import re

import pytest

from chatbot.config import ROOT
from chatbot.errors import BadSettings
from chatbot.model_file import read_models

GOOD = """\
prices_read: 2026-10-06
models:
  - id: one
    label: {en: One, zh: 一}
    api: [responses, chat]
    inputs: [image]
    thinking: [off, low]
    search: true
    window: 1000
    output: 100
    prices:
      - {input: 1, cached: 0.5, output: 2}
      - {above: 10, input: 2, cached: 1, output: 4}
    retired: 2026-11-24
"""


def read(tmp_path, text):
    file = tmp_path / "models.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_models(file)


def test_a_model_is_read_with_all_its_fields(tmp_path):
    [model] = read(tmp_path, GOOD).models.values()
    assert (model.name, model.label, model.label_zh) == ("one", "One", "一")
    assert (model.kinds, model.inputs) == (("responses", "chat"), ("image",))
    assert model.thinking == ("off", "low"), "YAML would read `off` as false"
    assert (model.search, model.window, model.output) == (True, 1000, 100)
    assert [model.prices.micro_yuan(n, 0, 1) for n in (10, 11)] == [12, 26]
    assert str(model.retired) == "2026-11-24"


def test_a_file_with_a_byte_order_mark_is_read(tmp_path):
    assert read(tmp_path, b"\xef\xbb\xbf" + GOOD.encode()).models.keys() == {"one"}


@pytest.mark.parametrize(
    ("old", "new", "line", "word"),
    [
        ("[responses, chat]", "[respones]", 5, "'responses', 'context' or 'chat'"),
        ("[image]", "[video]", 6, "'image' or 'pdf'"),
        ("[off, low]", "[off, much]", 7, "'medium'"),
        ("search: true", "search: perhaps", 8, "boolean"),
        ("window: 1000", "window: many", 9, "integer"),
        ("window: 1000", "windows: 1000", 9, "there is no such field"),
        ("output: 100", "output: 0", 10, "greater than or equal to 1"),
        ("cached: 0.5, ", "", 12, "cached: Field required"),
        ("input: 1,", "input: -1,", 12, "greater than or equal to 0"),
        ("input: 1,", "input: inf,", 12, "finite"),
        ("above: 10", "above: 0", 3, "each later one a larger one"),
        ("2026-11-24", "soon", 14, "date"),
        ("{en: One, zh: 一}", "{en: One}", 4, "zh: Field required"),
        ("id: one", "id: a b", 3, "pattern"),
        ("id: one\n    ", "", 3, "id: Field required"),
        ("[responses, chat]", "[chat]", 3, "only the responses API can search"),
        ("[responses, chat]", "[chat, responses, chat]", 3, "api: chat is listed twice"),
        ("[off, low]", "[off, off]", 3, "thinking: off is listed twice"),
        ("output: 100", "output: 1001", 3, "output: no reply is longer than the window"),
        ("prices_read: 2026-10-06", "prices_read: today", 1, "date"),
        ("api: [responses, chat]", "api: [chat]\n    api: [chat]", 6, "api is given twice"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path, old, new, line, word):
    assert old in GOOD
    with pytest.raises(BadSettings) as caught:
        read(tmp_path, GOOD.replace(old, new))
    told = str(caught.value)
    assert f"models.yaml, line {line}: " in told, told
    assert word in told, told


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "line 1: must be fields with values"),
        ("- a\n", "line 1: must be fields with values"),
        ("models: [\n", "line 2: not YAML"),
        ("a: &x [*x]\n", "not YAML"),
        (b"models: \xff\n", "not UTF-8"),
        (GOOD + GOOD.partition("models:\n")[2], "line 15: one is listed twice"),
        (GOOD.partition("    prices:")[0], "at least one model needs prices"),
        ("prices_read: 2026-10-06\nmodels: []\n", "line 2: models: List should have at least 1"),
    ],
)
def test_a_file_that_is_no_list_of_models_is_refused(tmp_path, text, word):
    with pytest.raises(BadSettings, match=re.escape(word)):
        read(tmp_path, text)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(BadSettings, match="No such file"):
        read_models(tmp_path / "none.yaml")


def test_the_file_that_comes_with_the_app_is_documented():
    """Each field that a model can have is explained at the top of the file."""
    text = (ROOT / "data" / "models.yaml").read_text(encoding="utf-8")
    head = text.partition("models:\n")[0]
    used = set(re.findall(r"^\s+(?:- )?([a-z]+):", text.partition("models:\n")[2], re.MULTILINE))
    explained = set(re.findall(r"^#   ([a-z]+)  ", head, re.MULTILINE))
    assert used <= explained
    assert "retired" in explained
