"""The bill of a turn is never below what Ark may have counted, and never above what was set aside
unless Ark told more: every way a turn can end, every kind of memory, whatever was told."""

import json
from dataclasses import dataclass, field, replace

import pytest

from chatbot.ark.chunks import MOST_TOKENS, CallStarts, Chunk, Tokens, counted
from chatbot.ark.tokens import estimate_tokens
from chatbot.turns.bill import Calls, most_of
from chatbot.usage import Used

LIMIT = 1_000
MOST_BUILD, MOST_ASK = 3_000, 3_200
REAL_BUILD, REAL_ASK = 1_900, 2_000
"""What Ark really counts: estimates are higher."""
PIECES = ["一、", "先把水烧开，", "then add the ", "noodles ", "1234567890 ", "größer "]
THOUGHTS = ["Let me think: ", "the question ", "is about noodles. "]


@dataclass
class OneCall:
    """A call as Ark sees it: what it really counts, and what reaches us of it."""

    starts: CallStarts
    truth: Used
    chunks: list[Chunk] = field(default_factory=list)
    failed: tuple[bool, bool] | None = None
    """Whether it may have been counted, and whether an answer may have begun, if it failed."""
    ended: bool = False


BUILD = OneCall(CallStarts(MOST_BUILD, 0), Used(REAL_BUILD), ended=True)


def ask(kind, said, *, thoughts=(), hidden=0, **more):
    """An ask that wrote these pieces, and so many tokens of thoughts that nobody saw."""
    words = [*(Chunk(thought=piece) for piece in thoughts), *(Chunk(text=piece) for piece in said)]
    written = sum(estimate_tokens(piece) - 8 for piece in (*thoughts, *said)) // 2
    hides = kind == "responses"
    starts = CallStarts(MOST_ASK, LIMIT, hides)
    return OneCall(starts, Used(REAL_ASK, 0, written + hidden, hidden), words, **more)


def lost():
    """Nothing was counted: the context was unknown, or the connection refused."""
    return OneCall(CallStarts(MOST_ASK, LIMIT), Used(), failed=(False, False))


def endings(kind):
    """By name, the calls of the turns that end so."""
    build = [BUILD] if kind == "context" else []
    hidden = LIMIT - 300 if kind == "responses" else 0
    whole = ask(kind, PIECES, ended=True)
    half = PIECES[:3]
    silent = ask(kind, [], hidden=LIMIT)
    stopped = replace(ask(kind, half, thoughts=THOUGHTS, hidden=hidden))
    error_500 = OneCall(CallStarts(MOST_ASK, LIMIT), Used(REAL_ASK), failed=(True, False))
    bad_gateway = OneCall(
        CallStarts(MOST_ASK, LIMIT), Used(REAL_ASK, 0, LIMIT), failed=(True, True)
    )
    found = {
        "complete": [*build, whole],
        "complete after thoughts": [*build, ask(kind, PIECES, thoughts=THOUGHTS, ended=True)],
        "complete, with all its thoughts hidden": [
            *build, replace(ask("responses", PIECES, hidden=600), ended=True),
        ],
        "stopped before anything": [*build, ask(kind, [])],
        "stopped in silent thinking": [*build, silent],
        "stopped in mid-answer": [*build, stopped],
        "stopped, asked, stopped": [*build, stopped, *build, silent, *build, stopped],
        "broken in mid-answer": [*build, replace(stopped, failed=(True, True))],
        "broken before anything": [*build, replace(silent, failed=(True, True))],
        "no answer in time": [*build, replace(silent, failed=(True, True))],
        "orphaned": [*build, stopped],
        "moderated at once": [*build, OneCall(whole.starts, Used(REAL_ASK), failed=(True, False))],
        "moderated in mid-answer": [*build, ask(kind, half, ended=True)],
        "refused": [*build, lost()],
        "no connection": [lost()],
        "server error, then answered": [*build, error_500, whole],
        "server error three times": [*build, error_500, *build, error_500, *build, error_500],
        "proxy error, then answered": [*build, bad_gateway, *build, whole],
        "memory lost, then rebuilt": [lost(), *build, whole],
        "memory lost, then stopped in silence": [lost(), *build, silent],
        "stepped down": [lost(), OneCall(CallStarts(MOST_BUILD, 0), Used(), failed=(False, False)),
                         whole],
        "cut by the limit": [*build, ask(kind, PIECES, ended=True)],
        "continued": [*build, stopped, *build, whole],
    }  # fmt: skip
    if kind == "context":
        found |= {
            "stopped while the memory was built": [replace(BUILD, ended=False)],
            "asked again and stopped while building": [
                replace(BUILD, ended=False), replace(BUILD, ended=False),
            ],
            "the memory was not built in time": [replace(BUILD, failed=(True, True), ended=False)],
        }  # fmt: skip
    return found


HOSTILE = [-900_000_000, -1, "12", [7], {"a": 1}, True, None, 1e23, 10**23, float("nan"), 2.5]


def told(call, what):
    """What Ark tells of a call at its end."""
    truth = call.truth
    match what:
        case "all":
            return Tokens(truth.prompt, 0, truth.completion, truth.reasoning)
        case "prompt only":
            return Tokens(truth.prompt)
        case "completion only":
            return Tokens(None, 0, truth.completion)
        case "nothing":
            return None
        case "an empty usage":
            return Tokens()
    return Tokens(what, what, what, what)


def played(calls, what):
    """The calls of a turn as it sees them. Numbers come at the end of what ends by itself."""
    turn = Calls()
    for call in calls:
        turn.start(call.starts)
        for chunk in call.chunks:
            turn.take(chunk)
        if call.ended:
            turn.take(Chunk(finish="stop" if call.starts.completion_tokens else ""))
            turn.take(Chunk(tokens=told(call, what)))
        if call.failed:
            turn.fail(*call.failed)
    return turn


TOLD = ["all", "prompt only", "completion only", "nothing", "an empty usage", *HOSTILE]
KINDS = ["context", "responses", "chat"]


def turns(kind):
    """The calls of every turn with this kind of memory, and the name of its ending."""
    return [(ending, calls) for ending, calls in endings(kind).items()]


# More than a thousand cases: one test for each of them would take minutes.
@pytest.mark.parametrize("what", TOLD, ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_a_bill_is_never_below_what_ark_counted(kind, what):
    for ending, calls in turns(kind):
        bills = played(calls, what).used()
        assert len(bills) == len(calls), ending
        for call, bill in zip(calls, bills, strict=True):
            most = most_of(call.starts)
            # What Ark told of the whole call is true, but for the numbers that cannot be.
            assert call.truth.prompt <= bill.prompt <= most.prompt, ending
            assert call.truth.completion <= bill.completion <= most.completion, ending
            assert 0 <= bill.cached <= bill.prompt, ending
            assert 0 <= bill.reasoning <= bill.completion, ending
            assert all(type(number) is int for number in (bill.prompt, bill.completion)), ending
            if call.failed and not call.failed[0]:
                assert bill == Used(), f"{ending}: what cannot have been counted costs nothing"


@pytest.mark.parametrize("kind", KINDS)
def test_reported_usage_of_a_whole_call_is_used(kind):
    for ending, calls in turns(kind):
        for call, bill in zip(calls, played(calls, "all").used(), strict=True):
            if call.ended:
                assert bill == call.truth, ending


@pytest.mark.parametrize("kind", KINDS)
def test_silence_is_never_free(kind):
    for ending in ("stopped before anything", "stopped in silent thinking", "no answer in time"):
        *_, bill = played(endings(kind)[ending], "nothing").used()
        assert bill == Used(MOST_ASK, 0, LIMIT)


def test_an_answer_that_was_cut_off_costs_what_came_of_it():
    *_, bill = played([ask("chat", PIECES[:3])], "nothing").used()
    assert bill.completion == estimate_tokens("".join(PIECES[:3])) < LIMIT


def test_reported_usage_above_the_reserve_is_counted():
    turn = Calls()
    turn.start(CallStarts(MOST_ASK, 200))
    turn.take(Chunk(text="1", finish="length", tokens=Tokens(2_000, 0, 8_011, 7_900)))
    assert turn.used() == [Used(2_000, 0, 8_011, 7_900)]


@pytest.mark.parametrize(
    ("usage", "used"),
    [
        # More cached than there is: nothing is known of the cache.
        (Tokens(2_000, 2_001, 50, 0), Used(2_000, 0, 50, 0)),
        # Thoughts beside the answer, as some servers count.
        (Tokens(2_000, 100, 50, 700), Used(2_000, 100, 750, 700)),
        # No prompt is empty, and no text has no tokens.
        (Tokens(0, 0, 50, 0), Used(MOST_ASK, 0, 50, 0)),
        (Tokens(2_000, 0, 0, 0), Used(2_000, 0, estimate_tokens("words"), 0)),
        (Tokens(MOST_TOKENS + 1, 0, 50, 0), Used(MOST_ASK, 0, 50, 0)),
        # Fewer tokens than any tokenizer makes of so much.
        (Tokens(1, 0, 50, 0), Used(MOST_ASK, 0, 50, 0)),
    ],
)
def test_numbers_that_contradict_themselves(usage, used):
    turn = Calls()
    turn.start(CallStarts(MOST_ASK, LIMIT))
    turn.take(Chunk(text="words"))
    turn.take(Chunk(finish="stop", tokens=usage))
    assert turn.used() == [used]


def test_a_search_that_was_not_made_does_not_make_a_small_count_unlikely():
    turn = Calls()
    turn.start(CallStarts(24_300, LIMIT, searches=4, found_tokens=24_200))
    turn.take(Chunk(text="words", finish="stop", tokens=Tokens(60, 0, 5)))
    assert turn.used() == [Used(60, 0, 5)]
    turn.start(CallStarts(24_300, LIMIT, searches=4, found_tokens=24_200))
    turn.take(Chunk(text="words", finish="stop", tokens=Tokens(1, 0, 5)))
    assert turn.used()[-1].prompt == 24_300


def test_a_count_that_comes_with_every_piece_is_not_the_last():
    turn = Calls()
    turn.start(CallStarts(MOST_ASK, LIMIT))
    for number, piece in enumerate(PIECES[:4]):
        turn.take(Chunk(text=piece, tokens=Tokens(2_000, 0, number)))
    turn.take(Chunk(text=PIECES[4]))
    [bill] = turn.used()
    assert bill == Used(2_000, 0, estimate_tokens("".join(PIECES[:5])))


def test_so_much_text_is_more_than_a_token():
    turn = Calls()
    turn.start(CallStarts(MOST_ASK, LIMIT))
    text = "".join(PIECES) * 5
    turn.take(Chunk(text=text))
    turn.take(Chunk(finish="stop", tokens=Tokens(2_000, 0, 1)))
    assert turn.used() == [Used(2_000, 0, estimate_tokens(text))]


def test_of_two_reports_the_larger_counts():
    turn = Calls()
    turn.start(CallStarts(MOST_ASK, LIMIT))
    turn.take(Chunk(text="words", finish="stop", tokens=Tokens(2_000, 100, 50, 40)))
    turn.take(Chunk(tokens=Tokens(1_500, 200, 10)))
    assert turn.used() == [Used(2_000, 200, 50, 40)]
    turn.take(Chunk(tokens=Tokens(None, 0, MOST_TOKENS + 1)))
    assert turn.used() == [Used(2_000, 0, 50, 40)]


@pytest.mark.parametrize("number", [*HOSTILE, MOST_TOKENS + 1], ids=repr)
def test_only_a_number_that_can_be_one_is_counted(number):
    assert counted(number) is None


@pytest.mark.parametrize("text", ["7", "0", str(MOST_TOKENS)])
def test_a_number_that_can_be_one_is_counted(text):
    assert counted(json.loads(text)) == int(text)


def test_what_a_memory_holds_is_what_the_last_call_was_about():
    calls = [BUILD, ask("context", PIECES, ended=True)]
    last = calls[-1].truth
    assert played(calls, "all").held() == last.prompt + last.completion
    assert played(calls, "nothing").held() >= MOST_ASK
