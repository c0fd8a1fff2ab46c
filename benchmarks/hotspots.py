"""`python -m benchmarks.hotspots [crowd|fast|idle]`: where the app's processor time goes.

Samples the app's threads while one workload runs. The sampling itself slows the app down: read
the shares, not the seconds.
"""

import argparse
import json
import signal
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks.driver import ready, share
from benchmarks.server import ROOT
from benchmarks.stage import App, Stage, open_stage
from benchmarks.streaming import CROWD_PACE, crowd_of

Seen = list[tuple[list[str], float]]
LINES = 40


def crowd(stage: Stage, app: App) -> None:
    """100 users at once."""
    with ready(share(crowd_of(app, "count 100", 100))) as ask:
        stage.pace(CROWD_PACE)
        forget(app)
        ask()


def fast(stage: Stage, app: App) -> None:
    """One user, and 30 replies of 2,000 tokens as fast as possible."""
    with ready([crowd_of(app, "count 2000", 1)]) as ask:
        forget(app)
        for _ in range(30):
            ask()


def idle(stage: Stage, app: App) -> None:
    """Nobody at all, for ten seconds."""
    forget(app)
    time.sleep(10)


def forget(app: App) -> None:
    """Begin to sample here."""
    app.server.process.send_signal(signal.SIGUSR1)
    # Python looks after its signals when the main thread next wakes.
    time.sleep(0.6)


WORKLOADS: dict[str, Callable[[Stage, App], None]] = {"crowd": crowd, "fast": fast, "idle": idle}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hotspots", description=__doc__)
    parser.add_argument("workload", nargs="?", choices=WORKLOADS, default="crowd")
    work = WORKLOADS[parser.parse_args().workload]
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        open_stage(Path(folder)) as stage,
    ):
        file = Path(folder) / "seen.json"
        with stage.app(via=["-m", "benchmarks.sampled", str(file)]) as app:
            work(stage, app)
        seen: Seen = json.loads(file.read_text())
    told = [([named(call) for call in stack], spent) for stack, spent in seen]
    print(f"{work.__doc__} {sum(spent for _, spent in told) / 1000:.1f} s of processor time.")
    show("Packages, by the function that ran", told, lambda stack: [package(stack[-1])])
    show("Functions, by themselves", told, lambda stack: [stack[-1]])
    show("Functions, with all they call", told, set)


def show(title: str, seen: Seen, names: Callable[[list[str]], Iterable[str]]) -> None:
    """The names that took most, and their share."""
    total = sum(spent for _, spent in seen)
    by_name: dict[str, float] = defaultdict(float)
    for stack, spent in seen:
        for name in names(stack):
            by_name[name] += spent
    print(f"\n{title}\n")
    for name in sorted(by_name, key=by_name.__getitem__, reverse=True)[:LINES]:
        print(f"{100 * by_name[name] / total:5.1f} %  {name}")


def package(call: str) -> str:
    return call.split()[0].split("/")[0]


def named(call: str) -> str:
    """A call by its package, file and function."""
    path, _, function = call.rpartition(":")
    if "site-packages/" in path:
        path = path.rpartition("site-packages/")[2]
    elif path.startswith(f"{ROOT}/"):
        path = path.removeprefix(f"{ROOT}/")
    elif "/" in path:
        path = f"python/{path.rpartition('/')[2]}"
    return f"{path} {function}"


if __name__ == "__main__":
    main()
