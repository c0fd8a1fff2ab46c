"""What a page does when its way to the server breaks, and when its login ends elsewhere."""

import contextlib
import signal
import socket
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PASSWORD
from tests.server import running_server


class HalfDead:
    """A proxy that can drop the data of its open connections without a word; new ones work."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[threading.Event] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/"

    def drop(self) -> None:
        """From now on nothing comes through the connections that are open."""
        for dead in self._open:
            dead.set()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                dead = threading.Event()
                self._open.append(dead)
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=pump, args=(one, other, dead), daemon=True).start()


def pump(source: socket.socket, target: socket.socket, dead: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            if not dead.is_set():
                target.sendall(data)
        if not dead.is_set():
            target.close()


@pytest.fixture
def proxy(server) -> Iterator[HalfDead]:
    between = HalfDead(server.port)
    yield between
    between.close()


def bar(person):
    return person.page.locator("#connection-bar")


def test_a_half_dead_network_is_noticed_and_followed_again(someone, proxy):
    ann = someone(proxy.url).join()
    ann.ask("count 3000")
    expect(ann.replies.last).to_contain_text("1 2 3")
    ann.prompt.press_sequentially("typed meanwhile")
    ann.page.evaluate("window.before = true")
    proxy.drop()
    # Within ten seconds; the rest is for a busy machine.
    ann.page.wait_for_function("!window.before")
    ann.is_in()
    expect(ann.replies.last).to_contain_text("1 2 3")
    ann.sees_growth()
    expect(ann.prompt).to_have_value("typed meanwhile")
    ann.stop()
    ann.is_answered()
    ann.ask("echo: and on")
    expect(ann.replies.last).to_contain_text("and on")


def test_a_lost_connection_is_shown_and_recovered(someone, ark, tmp_path):
    with running_server(ark, tmp_path, REGISTRATION="open") as server:
        ann = someone(server.url).join()
        ann.ask("echo: first")
        ann.is_answered()
        port = server.port
        server.end(signal.SIGKILL)
        ann.ask("echo: refused")
        expect(bar(ann)).to_contain_text("connection is lost")
        expect(ann.prompt).to_have_value("echo: refused")
        ann.prompt.press("Enter")
        expect(ann.prompt).to_have_value("echo: refused")
        expect(ann.toast.filter(visible=True)).to_have_count(0)
        server.start(port)
        expect(bar(ann)).to_have_count(0)
        ann.is_in()
        expect(ann.prompt).to_have_value("echo: refused")
        expect(ann.replies.last).to_contain_text("first")
        ann.prompt.press("Enter")
        expect(ann.replies.last).to_contain_text("refused")


def test_a_login_that_ended_elsewhere_is_shown_and_can_be_renewed(someone):
    one = someone().join()
    one.ask("echo: mine")
    one.is_answered()
    one.page.click("#new-session")
    expect(one.chat).to_contain_text("What can I do for you?")
    one.choose("mine")
    expect(one.replies.last).to_contain_text("mine")
    one.prompt.fill("half a thought")
    two = someone(beside=one).open()
    two.is_in()
    two.page.click("#logout")
    two.is_out()
    # In another tab at once.
    one.is_out()
    expect(one.error).to_contain_text("Your login has ended")
    one.log_in()
    one.is_in()
    expect(one.replies.last).to_contain_text("mine")
    expect(one.prompt).to_have_value("half a thought")

    # From another browser with the next thing one does.
    other = someone().open()
    other.log_in(one.name)
    other.is_in()
    other.page.click("#account-open")
    other.fill("current-password", PASSWORD)
    other.fill("next-password", PASSWORD + "!")
    other.page.click("#change-password")
    expect(other.page.locator("#password-told")).to_contain_text("is changed")
    one.prompt.press("Enter")
    one.is_out()
    expect(one.error).to_contain_text("Your login has ended")
    one.log_in(password=PASSWORD + "!")
    one.is_in()
    expect(one.prompt).to_have_value("half a thought")
