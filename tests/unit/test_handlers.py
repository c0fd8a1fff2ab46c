"""Every function that Gradio can be asked to run goes through the one decorator."""

import inspect

import gradio as gr
import pytest

from chatbot.bootstrap import create_app
from chatbot.config import Settings


@pytest.fixture
def app(tmp_path):
    made = create_app(
        Settings(ark_api_key=None, database_url=f"sqlite:///{tmp_path / 'chat.db'}"), pace=0
    )
    yield made
    made.close()


def test_every_function_knows_who_asks(app):
    functions = [entry for entry in app.demo.fns.values() if entry.fn is not None]
    assert len(functions) > 10
    for entry in functions:
        assert getattr(entry.fn, "is_guarded", False), f"{entry.name} is bare"


def test_no_function_is_offered_to_programs(app):
    for entry in app.demo.fns.values():
        assert entry.api_visibility == "private", entry.name


def test_no_function_waits_for_another_person(app):
    for entry in app.demo.fns.values():
        if entry.fn is not None and entry.queue is not False:
            assert entry.concurrency_limit is None, entry.name


def test_a_double_click_on_an_example_is_one_event(app):
    [example] = [entry for entry in app.demo.fns.values() if entry.api_name == "send_example"]
    assert example.trigger_mode == "once"


def test_the_main_functions_have_the_names_that_tools_rely_on(app):
    names = {entry.api_name for entry in app.demo.fns.values()}
    assert {"view", "sessions", "new_session", "select_session", "send", "follow", "stop"} <= names


def test_a_guarded_function_asks_gradio_for_the_request(app):
    for entry in app.demo.fns.values():
        if entry.fn is not None:
            parameters = inspect.signature(entry.fn).parameters
            assert "visit" not in parameters
            assert parameters["request"].annotation is gr.Request


def test_the_page_has_the_elements_that_tests_and_tools_rely_on(app):
    there = {getattr(block, "elem_id", None) for block in app.demo.blocks.values()}
    wanted = """
        auth-view login-name login-password login-submit register-name register-password
        register-invite register-submit auth-error chat-view session-list new-session
        rename-session delete-session search-sessions chatbot prompt usage-line account-name logout
        recent-sessions drawer-open new-session-on-phone
    """
    assert set(wanted.split()) <= there


def test_a_dropdown_takes_one_of_its_choices_only(app):
    choice = gr.Dropdown(["light", "dark"])
    assert choice.preprocess("dark") == "dark"
    with pytest.raises(gr.Error, match="not in the list"):
        choice.preprocess("loud")


def test_whether_a_session_can_be_had_is_for_the_service_to_say(app):
    functions = [entry for entry in app.demo.fns.values() if entry.fn]
    of_a_session = [
        entry for entry in functions if any(isinstance(one, gr.Dropdown) for one in entry.inputs)
    ]
    assert len(of_a_session) > 10
    assert not [entry.name for entry in of_a_session if entry.preprocess]


@pytest.mark.parametrize(("place", "value"), [(0, 0), (1, 0), (2, -1)])
def test_what_an_admin_types_is_checked_by_gradio(app, place, value):
    [invite] = [entry for entry in app.demo.fns.values() if entry.fn and entry.name == "invite"]
    assert invite.preprocess
    assert invite.inputs[place].preprocess(1) == 1
    with pytest.raises(gr.Error, match="minimum"):
        invite.inputs[place].preprocess(value)
