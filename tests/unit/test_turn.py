"""How a turn ends, without a database: what came of the model, and what is stored of it."""

from datetime import UTC, datetime

import pytest

from chatbot.ark.chunks import CallFailed, CallStarts, Chunk, MemorySaved, Note, Tokens
from chatbot.errors import ArkSilent, Moderated, StorageUnavailable, StreamBroken
from chatbot.storage.tables import State
from chatbot.turns.turn import MOST_REFS, SHORTEST_LIMIT, Turn

LATER = datetime(2030, 1, 1, tzinfo=UTC)
ASK = CallStarts(100, 50)
TOKENS = Tokens(90, 10, 5, 0)
SAVED = {
    "context": MemorySaved("context", "ctx-1", LATER),
    "responses": MemorySaved("responses", "resp_1", LATER),
    "chat": MemorySaved("chat", None, None),
}
HOLDS = {"context": "ctx-1", "responses": "resp_1", "chat": None}


def said(*texts, finish="stop"):
    return [ASK, *(Chunk(text=text) for text in texts), Chunk(finish=finish, tokens=TOKENS)]


# What comes, what ends it besides, and then: state, text, error, whether the memory is in step.
ENDINGS = {
    "complete": (said("one ", "two"), None, ("complete", "one two", "", True)),
    "cut by the limit": (said("one", finish="length"), None, ("length", "one", "", True)),
    "moderated in the middle": (
        said("one", finish="content_filter"), None, ("filtered", "one", "", False),
    ),
    "nothing at all": (said(), None, ("failed", "", "empty_reply", False)),
    "thoughts only": (
        [ASK, Chunk(thought="hm"), Chunk(finish="length")], None,
        ("failed", "", "only_thought", False),
    ),
    "broken off": (
        [ASK, Chunk(text="one")], StreamBroken(), ("interrupted", "one", "stream_broken", False),
    ),
    "silent": ([ASK], ArkSilent(), ("failed", "", "ark_silent", False)),
    "moderated at once": ([ASK], Moderated(), ("filtered", "", "moderated", False)),
    "too late": (
        [ASK, Chunk(text="one")], TimeoutError(), ("length", "one", "turn_timeout", False),
    ),
    "no money for the next call": (
        [ASK], StorageUnavailable(), ("failed", "", "storage_unavailable", False),
    ),
    "a mistake of ours": (
        [ASK, Chunk(text="one")], KeyError("x"), ("interrupted", "one", "error", False),
    ),
    "after a call that failed": (
        [ASK, CallFailed(False, False), Note("memory_rebuilt"), *said("one")], None,
        ("complete", "one", "", True),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", SAVED)
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_turn_ends_as_what_came_of_it(ending, kind):
    events, error, (state, text, code, in_step) = ENDINGS[ending]
    turn = Turn(50)
    for place, event in enumerate([SAVED[kind], *events]):
        turn.take(event, after_ms=place)
    if error is not None:
        turn.break_off(error)
    outcome = turn.outcome("ep-test", "in use")
    assert (outcome.state, outcome.content, outcome.error) == (state, text, code)
    assert outcome.ref == (HOLDS[kind] if in_step else None)
    assert outcome.memory_kind == (kind if in_step else "in use")


def test_who_stops_it_first_is_right():
    turn = Turn(50)
    for event in [SAVED["context"], ASK, Chunk(text="one")]:
        turn.take(event, 0)
    turn.end(State.STOPPED)
    turn.break_off(None)
    turn.take(Chunk(text=" two", finish="stop"), 0)
    outcome = turn.outcome("ep-test", "context")
    assert (outcome.state, outcome.ref) == (State.STOPPED, None)


def test_a_continued_reply_has_its_beginning_and_no_memory():
    turn = Turn(50, prefix="one ", prefix_thought="hm")
    assert turn.got_nothing
    for event in [SAVED["responses"], *said("two")]:
        turn.take(event, 0)
    outcome = turn.outcome("ep-test", "responses")
    assert (outcome.content, outcome.thought, outcome.ref) == ("one two", "hm", None)


def test_a_reply_longer_than_its_tokens_can_be_is_cut():
    turn = Turn(1)
    turn.take(ASK, 0)
    turn.take(Chunk(text="x" * (SHORTEST_LIMIT + 1)), 0)
    assert turn.overflows
    assert len(turn.text) == SHORTEST_LIMIT


@pytest.mark.parametrize("ref", ["", "a b", "x" * 201, "a\nb"])
def test_an_id_that_cannot_be_stored_is_not(ref):
    turn = Turn(50)
    turn.take(MemorySaved("responses", ref, LATER), 0)
    for event in [ASK, Chunk(text="one", ref=ref), Chunk(finish="stop", ref=ref)]:
        turn.take(event, 0)
    outcome = turn.outcome("ep-test", "responses")
    assert (outcome.ref, outcome.refs) == (None, "")


def test_the_first_word_is_timed_and_notes_come_once():
    turn = Turn(50)
    shown = [turn.take(event, 7 * place) for place, event in enumerate(
        [SAVED["chat"], ASK, Note("history_cut"), Note("history_cut"), *said("one", "two")[1:]]
    )]  # fmt: skip
    assert turn.first_token_ms == 28
    assert turn.notes == ["history_cut"]
    assert shown == [False, False, True, True, True, True, True]


def test_a_server_that_gives_each_piece_another_id_fills_no_database():
    turn = Turn(50)
    turn.take(ASK, 0)
    for number in range(100):
        turn.take(Chunk(text="x", ref=f"resp_{number}"), 0)
    assert len(turn.outcome("ep-test", "responses").refs.split()) == MOST_REFS
