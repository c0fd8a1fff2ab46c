"""A server as a process of its own on 127.0.0.1, ended by whoever started it."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import cpu_seconds, memory_mb

ROOT = Path(__file__).parents[1]
START_SECONDS = 90


@dataclass
class Server:
    url: str
    process: subprocess.Popen[bytes]
    log: Path
    started_in: float
    """Seconds from its start to its first HTTP 200."""

    @property
    def cpu(self) -> float:
        return cpu_seconds(self.process.pid)

    @property
    def memory(self) -> float:
        return memory_mb(self.process.pid)


@contextlib.contextmanager
def running(
    command: list[str], folder: Path, *, path: str = "", **environment: str
) -> Iterator[Server]:
    """`python ...` with `{port}` filled in, from its first answer to the end of the block."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    log = folder / f"{port}.log"
    inherited = {name: value for name, value in os.environ.items() if "GRADIO" not in name}
    with log.open("wb") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, *(word.format(port=port) for word in command)],
            cwd=ROOT,
            env={**inherited, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **environment},
            stdout=output,
            stderr=output,
        )
    try:
        while not _answers(url + path):
            if process.poll() is not None or time.monotonic() - started > START_SECONDS:
                raise RuntimeError(f"{command} did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.01)
        yield Server(url, process, log, time.monotonic() - started)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def get(url: str) -> bytes:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=30) as answer:
        return bytes(answer.read())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        get(url)
    except OSError:
        return False
    return True
