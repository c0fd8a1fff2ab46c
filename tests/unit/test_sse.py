"""Server-sent events, however the network cuts them."""

import json

import httpx
import pytest

from chatbot.ark.sse import read_events

pytestmark = pytest.mark.anyio


def event(value):
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


async def read(*pieces):
    """The events of these network pieces, and whether the last one was no JSON."""

    async def arriving():
        for piece in pieces:
            yield piece

    events = []
    try:
        async for event in read_events(httpx.Response(200, content=arriving())):
            events.append(event)
    except json.JSONDecodeError:
        return events, True
    return events, False


async def test_events_are_told_one_by_one():
    one, two, three = ({"n": n} for n in (1, 2, 3))
    pieces = [event(one) + event(two), event(three)[:9], event(three)[9:]]
    assert await read(*pieces) == ([one, two, three], False)


async def test_what_came_before_a_broken_event_is_told():
    assert await read(event({"n": 1}) + b'data: {"n":\n\n') == ([{"n": 1}], True)


async def test_nothing_is_read_after_the_end():
    done = b"data: [DONE]\n\n"
    assert await read(event({"n": 1}) + done + event({"n": 2})) == ([{"n": 1}], False)


async def test_a_last_event_may_lack_its_blank_line():
    assert await read(event({"n": 1})[:-1]) == ([{"n": 1}], False)


@pytest.mark.parametrize("text", ["a\u2028b", "\r", "表情😀"])
async def test_text_is_cut_nowhere_but_at_its_lines(text):
    whole = event({"text": text})
    for place in range(len(whole)):
        assert await read(whole[:place], whole[place:]) == ([{"text": text}], False)


async def test_lines_may_end_like_windows_lines():
    assert await read(b'data: {"n": 1}\r\n\r\n') == ([{"n": 1}], False)
