"""What an event may bring: the table, and everything that is not in it."""

import inspect
import json

import gradio as gr
import pytest

from chatbot.bootstrap import create_app
from chatbot.config import Settings
from chatbot.errors import BadInput
from chatbot.ui.event_inputs import STRING, EventInputs, table

NAMES = {
    0: "ask_rename", 1: "send", 2: "edit", 3: "act", 4: "pause", 5: "send_example", 6: "undo",
}  # fmt: skip
EXAMPLE = {"index": 0, "value": {"text": "Why?"}}
FILE = {"path": "http://192.0.2.1/big", "meta": {"_type": "gradio.FileData"}}


@pytest.fixture(scope="module")
def inputs() -> EventInputs:
    return EventInputs(NAMES, max_input_chars=100)


def body(number: int, data: object, **more: object) -> bytes:
    event = {"fn_index": number, "data": data, "session_hash": "tab", **more}
    return json.dumps(event).encode()


def test_every_event_of_the_page_has_its_inputs_declared(tmp_path):
    app = create_app(
        Settings(ark_api_key=None, database_url=f"sqlite:///{tmp_path / 'chat.db'}"), pace=0
    )
    declared = table(100)
    functions = [entry for entry in app.demo.fns.values() if entry.fn]
    assert {entry.name for entry in functions} == set(declared)
    for entry in functions:
        checks, about = declared[entry.name]
        parameters = list(inspect.signature(entry.fn).parameters.values())[:-1]
        assert len(checks) == len(entry.inputs), entry.name
        assert len(parameters) == len(checks) + (about is not None), entry.name
        wanted = [one.annotation for one in parameters if inspect.isclass(one.annotation)]
        event_data = [kind for kind in wanted if issubclass(kind, gr.EventData)]
        assert (about is not None) == bool(event_data), entry.name
        # No kind of input that Gradio could take for a file.
        kinds = {type(part).__name__ for part in entry.inputs}
        assert kinds <= {"Textbox", "Dropdown", "Checkbox", "Number"}, entry.name
        assert entry.queue, f"{entry.name} would need a door of its own"
    app.close()


def test_an_event_without_declared_inputs_stops_the_start():
    with pytest.raises(LookupError, match="something_new"):
        EventInputs({0: "view", 1: "something_new"}, max_input_chars=100)


@pytest.mark.parametrize(
    ("number", "data", "event_data"),
    [
        (0, [None], None),
        (0, ["6b0e3ad4-0000-4000-8000-000000000000"], None),
        (1, ["id", None, "", "What is it?", ""], None),
        (1, ["id", None, "", None, ""], None),
        (1, ["id", None, "", "x" * 2000, ""], None),
        (1, ["id", None, "", '{"path": "a"} [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[ \\ " 😀', ""], None),
        (1, ["id", 30, "", "What is it?", ""], None),
        (2, ["id", None, "", "12", "id", "11", "b"], None),
        (3, ["limit", 1, 2.5], None),
        (3, [None, None, 0], None),
        (4, [True], None),
        (5, ["id", None, ""], EXAMPLE),
        (5, ["id", None, ""], {**EXAMPLE, "index": [3, 0]}),
    ],
)
def test_what_the_page_sends_passes(inputs, number, data, event_data):
    event = inputs.read(body(number, data, event_data=event_data, trigger_id=7))
    assert (event.name, event.session_hash) == (NAMES[number], "tab")
    assert json.loads(event.body) == {
        "data": data, "fn_index": number, "session_hash": "tab",
        "event_data": event_data, "trigger_id": 7,
    }  # fmt: skip


def test_what_is_not_declared_is_left_out(inputs):
    sent = body(
        0, [None], event_id="x", simple_format=True, batched=True, request={}, event_data=FILE
    )
    assert json.loads(inputs.read(sent).body) == {
        "data": [None], "fn_index": 0, "session_hash": "tab", "event_data": None,
        "trigger_id": None,
    }  # fmt: skip
    told = {**EXAMPLE, "selected": FILE, "row_value": [FILE]}
    event = inputs.read(body(5, ["id", None, ""], event_data=told))
    assert json.loads(event.body)["event_data"] == EXAMPLE


EDIT = ["id", None, "", "12", "id", "11"]
ODD = {
    "empty": b"",
    "text": b"not JSON",
    "list": b"[]",
    "number": b"1",
    "not utf-8": b'{"fn_index": 0, "data": ["\xff"], "session_hash": "tab"}',
    "utf-16": body(0, [None]).decode().encode("utf-16"),
    "no data": b'{"fn_index": 0, "session_hash": "tab"}',
    "data is no list": body(0, "x"),
    "no function": b'{"data": [null], "session_hash": "tab"}',
    "unknown function": body(99, [None]),
    "function as text": body("0", [None]),
    "function as truth": body(False, [None]),
    "no tab": b'{"fn_index": 0, "data": [null]}',
    "odd tab": body(0, [None], session_hash="a/b"),
    "too few": body(0, []),
    "too many": body(0, [None, None]),
    "a file": body(0, [FILE]),
    "files": body(1, [FILE, None, FILE, FILE]),
    "a file in a list": body(1, ["id", None, "", [FILE], ""]),
    "a file for a number": body(3, ["limit", FILE, 1]),
    "a file for the window": body(1, ["id", FILE, "", "hi", ""]),
    "a file in the event": body(
        5, ["id", None, ""], event_data={"index": 0, "value": {"text": FILE}}
    ),
    "a file in an edit": body(2, [*EDIT, FILE]),
    "no event data": body(5, ["id", None, ""]),
    "event data as text": body(5, ["id", None, ""], event_data="x"),
    "odd place": body(5, ["id", None, ""], event_data={**EXAMPLE, "index": [1, 2, 3]}),
    "huge place": body(5, ["id", None, ""], event_data={**EXAMPLE, "index": 10**300}),
    "long id": body(0, ["x" * 65]),
    "long search": body(1, ["id", None, "x" * 2001, "hi", ""]),
    "long question": body(1, ["id", None, "", "x" * 100_000, ""]),
    "number as text": body(3, ["limit", "1", 1]),
    "truth as number": body(3, ["limit", True, 1]),
    "number as truth": body(4, [1]),
    "infinite": b'{"fn_index": 3, "data": ["limit", Infinity, NaN], "session_hash": "tab"}',
    "huge number": b'{"fn_index": 3, "session_hash": "tab", "data": ["", 1%s, 1]}' % (b"0" * 400),
    "huge exponent": b'{"fn_index": 3, "data": ["limit", 1e999, 1], "session_hash": "tab"}',
    "odd trigger": body(0, [None], trigger_id="x"),
    "deep": b"[" * 100_000,
    "deep inside": b'{"fn_index": 0, "session_hash": "tab", "data": '
    + b"[" * 400 + b"]" * 400 + b"}",
    "deep object": b'{"a":' * 300 + b"1" + b"}" * 300,
    "deep and hidden": b'"' + b"[" * 5000 + b'\\"]' + b"[" * 5000,
    "wide": body(0, list(range(5000))),
    "wide object": json.dumps({f"k{n}": n for n in range(5000)}).encode(),
    "wide in what is dropped": body(0, [None], more=[[]] * 5000),
}  # fmt: skip


@pytest.mark.parametrize("sent", ODD.values(), ids=ODD.keys())
def test_everything_else_is_refused(inputs, sent):
    with pytest.raises(BadInput):
        inputs.read(sent)


@pytest.mark.parametrize("character", ["a", "豆", "😀", "\\", '"', "\n", "\x01"])
def test_the_longest_question_fits_into_a_body(inputs, character):
    """Spelled as wasteful as JSON allows."""
    sent = body(2, [*EDIT, character * 100])
    assert len(sent) <= inputs.longest_body
    assert json.loads(inputs.read(sent).body)["data"][-1] == character * 100


def test_half_a_character_is_replaced(inputs):
    sent = b'{"fn_index": 1, "session_hash": "tab", "data": ["id", null, "", "a\\ud800", ""]}'
    assert json.loads(inputs.read(sent).body)["data"][3] == "a\ufffd"


@pytest.mark.parametrize("piece", [b'"', b'"\\', b'\\"', b'"\\"'])
def test_strings_that_do_not_end_are_looked_through_once(piece):
    # A second look for each quotation mark took minutes.
    assert len(STRING.sub(b"", piece * 100_000)) <= 100_000
