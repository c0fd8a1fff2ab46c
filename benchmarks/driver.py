"""Drives many askers at once, in processes of their own so that none of them is the bottleneck.

The bare SDK is driven by one process, as one server process is: its processor time is what the
SDK's work costs. `drive` is for the works, `main` is the process at the other end of its pipe.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.askers import Asker, Ear, FreshTab, Heard, Looker, Tab
from benchmarks.machine import cpu_seconds

ROOT = Path(__file__).parents[1]
TAB_USERS = 25
"""Pages that one process can drive without falling behind."""
SECONDS = 150
"""After which a reply is taken as never ending."""


@dataclass
class Job:
    """What one process has to do: for each of `users` one asker, all with the same question."""

    kind: str
    url: str
    question: str
    users: list[dict[str, Any]]
    """By asker: `headers` and `conversation` of a tab, `messages` of the bare SDK."""


@dataclass
class Driven:
    """What all askers heard, and the processor time of those who drove them."""

    heard: list[Heard]
    cpu: float
    failed: int


@contextlib.contextmanager
def ready(jobs: list[Job]) -> Iterator[Callable[[], Driven]]:
    """Have everybody log in and open their page; what is handed out lets them all ask at once."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.driver"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in jobs
    ]

    def say(process: subprocess.Popen[str], line: str) -> None:
        assert process.stdin
        process.stdin.write(line + "\n")
        process.stdin.flush()

    def hear(process: subprocess.Popen[str]) -> str:
        assert process.stdout
        line = process.stdout.readline()
        if not line:
            raise RuntimeError("a driver has died")
        return line

    def ask() -> Driven:
        before = sum(cpu_seconds(process.pid) for process in processes)
        for process in processes:
            say(process, "ask")
        for process in processes:
            assert hear(process).strip() == "heard"
        cpu = sum(cpu_seconds(process.pid) for process in processes) - before
        for process in processes:
            say(process, "tell")
        told = [json.loads(hear(process)) for process in processes]
        heard = [Heard(**one) for answer in told for one in answer["heard"]]
        return Driven(heard, cpu, sum(answer["failed"] for answer in told))

    try:
        for process, job in zip(processes, jobs, strict=True):
            say(process, json.dumps(asdict(job)))
        for process in processes:
            assert hear(process).strip() == "ready"
        yield ask
    finally:
        for process in processes:
            with contextlib.suppress(OSError):
                process.communicate(timeout=5)
            process.kill()
            process.wait()


def drive(jobs: list[Job]) -> Driven:
    """Ask once, everybody at the same time."""
    with ready(jobs) as ask:
        return ask()


def share(job: Job) -> list[Job]:
    """The job cut so that its processes keep up."""
    if not job.kind.endswith("tab"):
        return [job]
    parts = range(0, len(job.users), TAB_USERS)
    return [Job(job.kind, job.url, job.question, job.users[at : at + TAB_USERS]) for at in parts]


def askers(job: Job) -> list[Asker]:
    kinds: dict[str, Callable[..., Asker]] = {
        "ear": Ear, "tab": Tab, "fresh tab": FreshTab, "looker": Looker,
    }  # fmt: skip
    if not job.kind.startswith("bare"):
        return [kinds[job.kind](job.url, **user) for user in job.users]
    # Only here: the SDK takes longer to import than all the rest.
    from volcenginesdkarkruntime import AsyncArk

    from benchmarks.bare import Bare, BareFirst

    ark = AsyncArk(api_key="bench-key", base_url=job.url, max_retries=0)
    return [(BareFirst if job.kind == "bare first" else Bare)(ark, **user) for user in job.users]


async def main() -> None:
    loop = asyncio.get_running_loop()

    async def next_line() -> str:
        return await loop.run_in_executor(None, sys.stdin.readline)

    job = Job(**json.loads(await next_line()))
    people = askers(job)
    # Not all at once: what is measured is the asking, not the opening.
    few = asyncio.Semaphore(8)

    async def prepare(one: Asker) -> None:
        async with few:
            await one.prepare()

    await asyncio.gather(*map(prepare, people))
    print("ready", flush=True)
    while (await next_line()).strip() == "ask":
        async with asyncio.timeout(SECONDS):
            results = await asyncio.gather(
                *(one.ask(job.question) for one in people), return_exceptions=True
            )
        print("heard", flush=True)
        await next_line()
        failures = [result for result in results if isinstance(result, BaseException)]
        for failure in failures[:3]:
            print(f"{type(failure).__name__}: {failure}", file=sys.stderr)
        good = [one for one, result in zip(people, results, strict=True) if result is None]
        told = [asdict(one.heard()) for one in good]
        print(json.dumps({"heard": told, "failed": len(failures)}), flush=True)
    for one in people:
        await one.leave()


if __name__ == "__main__":
    asyncio.run(main())
