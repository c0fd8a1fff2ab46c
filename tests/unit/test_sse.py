"""Server-sent events, however the network cuts them."""

import json

import httpx
import pytest

from chatbot.ark import sse
from chatbot.ark.sse import ENDED, BrokenEvent, read_events

pytestmark = pytest.mark.anyio


def event(value):
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


async def read(*pieces):
    """The events of these network pieces, and whether the last one could not be read."""

    async def arriving():
        for piece in pieces:
            yield piece

    events = []
    try:
        async for event in read_events(httpx.Response(200, content=arriving())):
            events.append(event)
    except BrokenEvent:
        return events, True
    return events, False


async def test_events_are_yielded_one_by_one():
    one, two, three = ({"n": n} for n in (1, 2, 3))
    pieces = [event(one) + event(two), event(three)[:9], event(three)[9:]]
    assert await read(*pieces) == ([one, two, three], False)


async def test_events_before_a_broken_event_are_yielded():
    assert await read(event({"n": 1}) + b'data: {"n":\n\n') == ([{"n": 1}], True)


DONE = b"data: [DONE]\n\n"


async def test_nothing_is_read_after_the_end():
    assert await read(event({"n": 1}) + DONE + event({"n": 2})) == ([{"n": 1}, ENDED], False)


@pytest.mark.parametrize("end", [DONE, DONE.rstrip(), DONE.replace(b" ", b"")])
async def test_the_end_is_told_however_it_is_written(end):
    assert await read(event({"n": 1}) + end) == ([{"n": 1}, ENDED], False)


async def test_a_last_event_may_lack_its_blank_line():
    assert await read(event({"n": 1})[:-1]) == ([{"n": 1}], False)


@pytest.mark.parametrize("text", ["a\u2028b", "\r", "表情😀"])
async def test_text_is_cut_nowhere_but_at_its_lines(text):
    whole = event({"text": text})
    for place in range(len(whole)):
        assert await read(whole[:place], whole[place:]) == ([{"text": text}], False)


async def test_lines_may_end_like_windows_lines():
    assert await read(b'data: {"n": 1}\r\n\r\n') == ([{"n": 1}], False)


BOTH = [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize("line_end", [b"\n", b"\r", b"\r\n"])
async def test_lines_may_end_in_three_ways_wherever_the_network_cuts(line_end):
    whole = (event(BOTH[0]) + b": note\n\n" + event(BOTH[1])).replace(b"\n", line_end)
    for place in range(len(whole)):
        assert await read(whole[:place], whole[place:]) == (BOTH, False)
    assert await read(*(bytes([byte]) for byte in whole)) == (BOTH, False)


async def test_a_line_that_ends_with_cr_is_not_kept_waiting():
    whole = event({"n": 1}).replace(b"\n", b"\r")

    async def arriving():
        yield whole
        raise AssertionError("the event is complete")

    assert await anext(read_events(httpx.Response(200, content=arriving()))) == {"n": 1}


async def test_a_byte_order_mark_is_skipped():
    whole = "\ufeff".encode() + event({"n": 1})
    for place in range(len(whole)):
        assert await read(whole[:place], whole[place:]) == ([{"n": 1}], False)


@pytest.mark.parametrize("before", [b"", b"\n ", "\ufeff".encode()])
async def test_one_json_object_though_a_stream_was_asked_for(before):
    whole = before + json.dumps({"choices": [{"n": 1}]}, indent=1).encode()
    for place in (0, 1, 2, 5, len(whole)):
        assert await read(whole[:place], whole[place:]) == ([{"choices": [{"n": 1}]}], False)


@pytest.mark.parametrize(
    "data",
    [b"[" * 100_000, b'{"n":' + b"9" * 5_000 + b"}", b'{"n": "\xff"}', b'{"n": 1'],
    ids=["deep", "long number", "no UTF-8", "cut"],
)
async def test_an_event_that_is_not_json_counts_as_broken(data):
    assert await read(b"data: " + data + b"\n\n") == ([], True)
    assert (await read(data))[0] == []


async def endless(piece):
    while True:
        yield piece


@pytest.mark.parametrize(
    ("first", "piece"),
    [(b"data: ", b"x" * 1000), (b"", b"data: " + b"x" * 1000 + b"\n"), (b"{", b" " * 1000)],
    ids=["line", "event", "object"],
)
async def test_what_has_no_end_is_left(monkeypatch, first, piece):
    monkeypatch.setattr(sse, "EVENT_BYTES", 50_000)
    taken = 0

    async def arriving():
        nonlocal taken
        yield first
        async for more in endless(piece):
            taken += len(more)
            assert taken < 1_000_000, "it is read for ever"
            yield more

    with pytest.raises(BrokenEvent):
        async for _ in read_events(httpx.Response(200, content=arriving())):
            pass
    assert taken < 60_000
