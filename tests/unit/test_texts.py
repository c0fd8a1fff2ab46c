"""The table of texts: complete in both languages, and the right language chosen."""

import importlib
import pkgutil
import string

import pytest

import chatbot
from chatbot import errors
from chatbot.ark.offline.script import reply_to
from chatbot.errors_zh import ERRORS_ZH
from chatbot.storage.tables import State
from chatbot.ui import texts
from chatbot.ui.texts import error_text, language_of, reason_text


def every_error() -> list[type[errors.ChatbotError]]:
    found, waiting = [], [errors.ChatbotError]
    while waiting:
        kind = waiting.pop()
        found.append(kind)
        waiting += kind.__subclasses__()
    return found


def test_the_whole_tree_of_errors_is_in_one_file():
    for _, module, _ in pkgutil.walk_packages(chatbot.__path__, "chatbot."):
        if not module.endswith("__main__"):
            importlib.import_module(module)
    assert {kind.__module__ for kind in every_error()} == {"chatbot.errors"}


def places(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def test_every_error_has_a_chinese_sentence_with_the_same_places():
    for kind in every_error():
        # Told on the console, in English.
        if kind is not errors.BadSettings:
            assert places(ERRORS_ZH[kind.code]) == places(kind.sentence), kind


def test_codes_are_unique_where_sentences_differ():
    sentences = {}
    for kind in every_error():
        assert sentences.setdefault(kind.code, kind.sentence) == kind.sentence


@pytest.mark.parametrize("table", [texts.LABELS, texts.PHRASES])
def test_phrases_have_the_same_places_in_both_languages(table):
    for key, (english, chinese) in table.items():
        assert places(english) == places(chinese), key
        assert english, key
        assert chinese, key


def test_every_state_that_is_not_complete_has_a_remark():
    for state in State:
        if state not in (State.COMPLETE, State.STREAMING):
            assert f"state_{state}" in texts.PHRASES


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-US,en;q=0.9,zh;q=0.8", "en"),
        ("en;q=0.2, zh-TW;q=0.9", "zh"),
        ("fr-FR, fr", "en"),
        ("fr, zh;q=0.5", "zh"),
        ("zh;q=nonsense, en", "en"),
    ],
)
def test_language_of_a_browser(header, language):
    assert language_of(header) == language


def test_an_error_fills_its_places():
    error = errors.MessageTooLong(length=20_001, limit=20_000)
    assert "20001" in error_text(error, "en")
    assert "20001" in error_text(error, "zh")


def test_a_reason_is_found_by_its_stored_code():
    assert reason_text("rate_limited", "en") == errors.RateLimited.sentence
    assert reason_text("process_died", "zh") == "服务器重启了"
    assert reason_text("a code of a later release", "en") == errors.ChatbotError.sentence


def test_the_offline_demo_answers_its_examples_to_the_point():
    answers = {1: "fibonacci", 2: "sqrt", 3: "|", 4: ("Ada", "小明")}
    for number, expected in answers.items():
        for place, language in enumerate(("en", "zh")):
            asked = texts.text(f"example_{number}", language)
            wanted = expected if isinstance(expected, str) else expected[place]
            assert wanted in reply_to([{"role": "user", "content": asked}]).content, asked
    assert "Saturn" in texts.text("example_3", "en")
