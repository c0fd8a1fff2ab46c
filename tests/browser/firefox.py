"""Debian's Firefox, driven by WebDriver BiDi over its own websocket, without a driver program."""

import itertools
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from tests.server import free_port

FIREFOX = next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)
START_SECONDS = 60
ANSWER_SECONDS = 60


class Firefox:
    """One tab. What it asked the network for, and the dialogs it opened, are noted."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.requests: list[str] = []
        self.dialogs: list[str] = []
        self._ask("session.new", capabilities={})
        self._ask(
            "session.subscribe",
            events=["network.beforeRequestSent", "browsingContext.userPromptOpened"],
        )
        self._tab = self._ask("browsingContext.getTree")["contexts"][0]["context"]

    def before_each_page(self, script: str) -> None:
        self._ask("script.addPreloadScript", functionDeclaration=f"() => {{ {script} }}")

    def open(self, url: str) -> None:
        self._ask("browsingContext.navigate", context=self._tab, url=url, wait="complete")

    def run(self, script: str) -> Any:
        """The value of an expression, or of what it promises; must be what JSON can hold."""
        answer = self._ask(
            "script.evaluate",
            expression=f"Promise.resolve({script}).then((value) => JSON.stringify(value ?? null))",
            target={"context": self._tab},
            awaitPromise=True,
        )
        if answer["type"] != "success":
            raise AssertionError(answer["exceptionDetails"]["text"])
        return json.loads(answer["result"]["value"])

    def wait_for(self, condition: str, seconds: float = ANSWER_SECONDS) -> None:
        end = time.monotonic() + seconds
        while not self.run(f"Boolean({condition})"):
            assert time.monotonic() < end, f"never: {condition}"
            time.sleep(0.1)

    def _ask(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            told = json.loads(self._socket.recv(timeout=ANSWER_SECONDS))
            if told.get("id") == number:
                assert told["type"] == "success", told
                return told["result"]
            if told.get("method") == "network.beforeRequestSent":
                self.requests.append(told["params"]["request"]["url"])
            elif told.get("method") == "browsingContext.userPromptOpened":
                self.dialogs.append(told["params"]["message"])


@contextmanager
def running_firefox() -> Iterator[Firefox]:
    assert FIREFOX, "this needs Firefox: apt-get install firefox-esr"
    port = free_port()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        Path(profile, "user.js").write_text(
            'user_pref("remote.active-protocols", 1);\nuser_pref("app.update.enabled", false);\n'
            'user_pref("datareporting.policy.dataSubmissionEnabled", false);\n'
            'user_pref("intl.accept_languages", "en-US");\n'
        )
        command = [
            FIREFOX, "--headless", "--no-remote", "--profile", profile, "--width", "1280",
            "--height", "800", f"--remote-debugging-port={port}", "about:blank",
        ]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with _connected(port) as socket:
                yield Firefox(socket)
        finally:
            process.terminate()
            process.wait(20)


def _connected(port: int) -> ClientConnection:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            return connect(f"ws://127.0.0.1:{port}/session", max_size=None, proxy=None)
        except (OSError, WebSocketException):
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
