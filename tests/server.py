"""The app as a process of its own: `python app.py`, started, stopped, killed and started again."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from chatbot.ark.offline import OfflineArk
from tests.discretion import indiscretions

ROOT = Path(__file__).parents[1]


@dataclass
class Server:
    """`python app.py` as a process of its own, which can be stopped, killed and started again."""

    folder: Path
    environment: dict[str, str]
    flags: list[str] = field(default_factory=list)
    url: str = ""
    process: subprocess.Popen[str] | None = None

    def start(self, port: int = 0) -> None:
        port = port or free_port()
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("GRADIO_")
        }
        self.process = subprocess.Popen(
            [sys.executable, "app.py", "--port", str(port), *self.flags],
            cwd=ROOT,
            env={
                **inherited,
                "DATABASE_URL": f"sqlite:///{self.folder / 'chat.db'}",
                "BCRYPT_COST": "4",
                "PYTHONUNBUFFERED": "1",
                "LOG_LEVEL": "DEBUG",
                **self.environment,
            },
            stdout=subprocess.PIPE,
            stderr=(self.folder / "log.txt").open("a"),
            text=True,
        )
        assert self.process.stdout
        for line in self.process.stdout:
            if line.startswith("Open "):
                self.url = line.split()[1]
                break
        else:
            raise AssertionError(f"did not start:\n{self.log}")

    @property
    def port(self) -> int:
        return int(self.url.rstrip("/").rpartition(":")[2])

    @property
    def log(self) -> str:
        return (self.folder / "log.txt").read_text()

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process
        self.process.send_signal(how)
        code = self.process.wait(20)
        if self.process.stdout:
            self.process.stdout.close()
        return code

    def printed(self, until: str) -> str:
        """What it printed after its address, up to the line that starts so."""
        assert self.process
        assert self.process.stdout
        lines = []
        for line in self.process.stdout:
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
    ark: OfflineArk | None, folder: Path, *flags: str, **environment: str
) -> Iterator[Server]:
    keyed = {
        "ARK_API_KEY": "test-key",
        "ARK_MODEL": "ep-test",
        "ARK_BASE_URL": ark.base_url,
    } if ark else {"ARK_API_KEY": ""}  # fmt: skip
    server = Server(folder, {**keyed, **environment}, list(flags))
    server.start()
    try:
        yield server
    finally:
        if server.process and server.process.poll() is None:
            server.end(signal.SIGKILL)
    assert indiscretions(server.log, ark) == []
