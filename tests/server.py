"""The app as a process of its own: `python app.py`, started, stopped, killed and started again."""

import contextlib
import io
import multiprocessing
import os
import runpy
import signal
import socket
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tests.discretion import indiscretions
from tests.fake_ark import FakeArk

ROOT = Path(__file__).parents[1]
# A process that has imported what the app imports, and is copied for each start: importing takes
# two of the three seconds of a start.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["chatbot.bootstrap"])


def run(
    flags: list[str],
    environment: dict[str, str],
    printed: Connection,
    log: Path,
    before: Callable[[], None] | None,
) -> None:
    """Become `python app.py`, in a process of its own."""
    os.dup2(printed.fileno(), sys.stdout.fileno())
    with log.open("a") as told:
        os.dup2(told.fileno(), sys.stderr.fileno())
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["app.py", *flags]
    if before:
        before()
    runpy.run_path("app.py", run_name="__main__")


@dataclass
class Server:
    """`python app.py` as a process of its own, which can be stopped, killed and started again."""

    folder: Path
    environment: dict[str, str]
    flags: list[str] = field(default_factory=list)
    before: Callable[[], None] | None = None
    """What its process does first."""
    url: str = ""
    process: ForkServerProcess | None = None
    output: io.TextIOWrapper | None = None

    def start(self, port: int = 0) -> None:
        port = port or free_port()
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("GRADIO_")
        }
        environment = {
            **inherited,
            "DATABASE_URL": f"sqlite:///{self.folder / 'chat.db'}",
            "BCRYPT_COST": "4",
            "LOG_LEVEL": "DEBUG",
            **self.environment,
        }
        reading, writing = PROCESSES.Pipe(duplex=False)
        self.process = PROCESSES.Process(
            target=run,
            args=(
                ["--port", str(port), *self.flags],
                environment,
                writing,
                self.log_file,
                self.before,
            ),
        )
        self.process.start()
        writing.close()
        self.output = os.fdopen(os.dup(reading.fileno()), encoding="utf-8")
        reading.close()
        for line in self.output:
            if line.startswith("Open "):
                self.url = line.split()[1]
                break
        else:
            raise AssertionError(f"did not start:\n{self.log}")

    @property
    def port(self) -> int:
        return int(self.url.rstrip("/").rpartition(":")[2])

    @property
    def log_file(self) -> Path:
        return self.folder / "log.txt"

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send this signal; returns the exit code."""
        assert self.process
        assert self.process.pid
        os.kill(self.process.pid, how)
        return self.ended()

    def ended(self) -> int:
        """Wait for its end; returns the exit code."""
        assert self.process
        assert self.output
        self.process.join(20)
        self.output.close()
        assert self.process.exitcode is not None, "it did not end"
        return self.process.exitcode

    def printed(self, until: str) -> str:
        """What it printed after its address, up to the line that starts so."""
        assert self.output
        lines = []
        for line in self.output:
            lines.append(line)
            if line.startswith(until):
                break
        return "".join(lines)

    def health(self) -> str:
        with urllib.request.urlopen(f"{self.url}gradio_api/chatbot/health") as answer:
            return str(answer.read().decode())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running_server(
    ark: FakeArk | None,
    folder: Path,
    *flags: str,
    before: Callable[[], None] | None = None,
    **environment: str,
) -> Iterator[Server]:
    keyed = {
        "ARK_API_KEY": "test-key",
        "ARK_MODEL": "ep-test",
        "ARK_BASE_URL": ark.base_url,
    } if ark else {"ARK_API_KEY": ""}  # fmt: skip
    server = Server(folder, {**keyed, **environment}, list(flags), before)
    server.start()
    try:
        yield server
    finally:
        if server.process and server.process.is_alive():
            server.end(signal.SIGKILL)
    assert indiscretions(server.log, ark) == []
