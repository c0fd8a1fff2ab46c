"""What the events of a stream say, whatever a server puts into them."""

import json

import pytest

from chatbot.ark.chunks import Chunk, Tokens
from chatbot.ark.parse import (
    chat_chunk,
    output_of,
    read_ref,
    read_usage,
    response_chunk,
    told_error,
)

# As a server writes it: Python's JSON also reads NaN and numbers without bound.
HOSTILE = ["-900000000", '"12"', "[1]", "{}", "NaN", "1e23", "1" + "0" * 23, "true", "null", "1.5"]


@pytest.mark.parametrize("number", HOSTILE)
@pytest.mark.parametrize("names", [("prompt_tokens", "completion_tokens"),
                                   ("input_tokens", "output_tokens")])  # fmt: skip
def test_an_impossible_number_is_ignored(names, number):
    prompt, completion = names
    given, made = f"{prompt}_details", f"{completion}_details"
    usage = json.loads(
        f'{{"{prompt}": {number}, "{completion}": 7, "{given}": {{"cached_tokens": {number}}},'
        f' "{made}": {{"reasoning_tokens": {number}}}}}'
    )
    assert read_usage(usage) == Tokens(prompt=None, cached=0, completion=7, reasoning=0)


def test_a_part_is_never_more_than_the_whole():
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 99},
        "completion_tokens_details": {"reasoning_tokens": 99},
    }
    assert read_usage(usage) == Tokens(10, 10, 5, 5)


@pytest.mark.parametrize("usage", [None, 5, "text", [1], {"prompt_tokens_details": 5}, {}])
def test_usage_of_another_shape_tells_nothing(usage):
    told = read_usage(usage)
    assert told is None or (told.prompt, told.completion) == (None, None)


@pytest.mark.parametrize(
    ("event", "chunk"),
    [
        ({"type": "response.output_text.delta", "delta": "Hi"}, Chunk(text="Hi")),
        ({"type": "response.reasoning_summary_text.delta", "delta": "T"}, Chunk(thought="T")),
        ({"type": "response.reasoning_text.delta", "delta": "T"}, Chunk(thought="T")),
        ({"type": "response.created", "response": {"id": "resp_1"}}, Chunk(ref="resp_1")),
        ({"type": "response.created", "response": {}}, Chunk()),
        ({"type": "response.created"}, Chunk()),
        ({"type": "response.completed", "response": {"id": "resp_1"}},
         Chunk(finish="stop", ref="resp_1")),
        ({"type": "response.incomplete", "response": {}}, Chunk(finish="length")),
        ({"type": "response.incomplete",
          "response": {"incomplete_details": {"reason": "max_output_tokens"}}},
         Chunk(finish="length")),
        ({"type": "response.incomplete",
          "response": {"incomplete_details": {"reason": "content_filter", "content_filter": {}}}},
         Chunk(finish="content_filter")),
        ({"type": "response.incomplete", "response": {"incomplete_details": "odd"}},
         Chunk(finish="length")),
        ({"type": "response.output_item.added", "item": {"type": "reasoning"}}, Chunk()),
        ({"type": "response.web_search_call.searching", "item_id": "ws_1"}, Chunk(search="")),
        ({"type": "response.reasoning_raw_text.delta", "delta": "not for people"}, Chunk()),
        ({"type": "response.mood", "delta": "x", "response": {"id": "resp_2"}}, Chunk()),
        ({"type": 5}, Chunk()),
        ({}, Chunk()),
    ],
)  # fmt: skip
def test_an_event_of_the_responses_api_is_known_by_its_type(event, chunk):
    assert response_chunk(event) == chunk


OUTPUT = [
    {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "T"}]},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]},
    {"type": "message", "content": [{"type": "refusal"}, {"type": "output_text", "text": "!"}]},
    {"type": "web_search_call"},
]


def test_a_whole_response_is_read_like_its_stream():
    usage = {"input_tokens": 3, "output_tokens": 2}
    whole = {"object": "response", "id": "resp_1", "status": "completed", "usage": usage}
    assert response_chunk({**whole, "output": OUTPUT}) == Chunk(
        "Hi!", "T", "stop", Tokens(3, 0, 2, 0), "resp_1"
    )
    cut = {**whole, "status": "incomplete", "output": [], "incomplete_details": {"reason": "x"}}
    assert response_chunk(cut) == Chunk(finish="length", tokens=Tokens(3, 0, 2, 0))
    assert response_chunk({"object": "response", "status": "in_progress"}) == Chunk()


def test_the_last_event_holds_the_whole_output():
    event = {"type": "response.completed", "response": {"output": OUTPUT}}
    assert output_of(event) == Chunk("Hi!", "T")
    for none in ({"response": {"output": []}}, {"response": {}}, {}):
        assert output_of(none) == Chunk()


@pytest.mark.parametrize(
    ("event", "chunk"),
    [
        ({"choices": [{"message": {"content": "Hi", "reasoning_content": "T"},
                       "finish_reason": "stop"}]}, Chunk("Hi", "T", "stop")),
        ({"choices": [{"delta": {"reasoning": "T"}}]}, Chunk(thought="T")),
        ({"choices": [{"delta": {}, "finish_reason": "x" * 99}]}, Chunk(finish="stop")),
        ({"choices": [{"delta": {}, "finish_reason": 5}]}, Chunk(finish="stop")),
        ({"choices": [{"delta": {}, "finish_reason": ""}]}, Chunk()),
        ({"choices": [], "usage": "text"}, Chunk()),
        ({"choices": None}, Chunk()),
    ],
)  # fmt: skip
def test_a_chunk_of_chat_completions(event, chunk):
    assert chat_chunk(event) == chunk


@pytest.mark.parametrize(
    ("ref", "kept"),
    [
        ("resp_" + "0" * 53, "resp_" + "0" * 53),
        ("ctx-20250410175333-lkjq2", "ctx-20250410175333-lkjq2"),
        ("", ""),
        ("x" * 201, ""),
        ("resp_1\n", ""),
        ("resp_\u0000", ""),
        ("resp_中", ""),
        (5, ""),
        (["resp_1"], ""),
        (None, ""),
    ],
)
def test_an_id_is_a_short_plain_word(ref, kept):
    assert read_ref(ref) == kept


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"error": {"code": "InternalServiceError"}}, "InternalServiceError"),
        ({"error": "in words"}, ""),
        ({"type": "error", "code": "server_error", "message": "x", "param": None}, "server_error"),
        ({"code": "flat", "message": "x"}, "flat"),
        ({"type": "response.failed", "response": {"error": {"code": "c"}}}, "c"),
        ({"type": "response.failed", "response": {}}, ""),
        ({"type": "response.failed"}, ""),
    ],
)
def test_an_error_in_the_middle_of_a_stream(event, code):
    refusal = told_error(event)
    assert (refusal.status, refusal.code) == (0, code)


@pytest.mark.parametrize(
    "event", [{"choices": [], "code": 5}, {"type": "response.completed"}, {"error": None}, {}]
)
def test_no_error_is_seen_where_there_is_none(event):
    assert told_error(event) is None
