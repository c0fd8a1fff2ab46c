"""The main story in a browser, with a Gradio that the app's shortcuts do not fit."""

from functools import partial

import pytest

from tests import another_gradio
from tests.browser import test_story
from tests.browser.test_story import (  # noqa: F401
    test_a_page_goes_on_after_the_server_was_restarted,
    test_register_ask_reload_log_out_and_come_back,
)
from tests.server import running_server

on_another_gradio = partial(running_server, before=another_gradio.pretend)


@pytest.fixture(autouse=True)
def started_by_tests(monkeypatch):
    """The servers that a test of the story starts for itself."""
    monkeypatch.setattr(test_story, "running_server", on_another_gradio)


@pytest.fixture(scope="module")
def shared_server(shared_ark, tmp_path_factory):
    settings = {"TRUSTED_PROXIES": "127.0.0.1", "REGISTRATION": "open", "SENDS_PER_MINUTE": "0"}
    folder = tmp_path_factory.mktemp("fallback")
    with on_another_gradio(shared_ark, folder, **settings) as server:
        yield server
        assert "the shortcut for events is off" in server.log
