"""A Python program with its stacks noted: `python -m benchmarks.sampled FILE PROGRAM [ARGUMENT…]`.

What was seen is written to FILE when the program ends; SIGUSR1 forgets what was seen before.
Threads that wait are left out.
"""

import json
import runpy
import signal
import sys
import threading
from collections import Counter
from pathlib import Path
from types import FrameType

SECONDS = 0.002
WAITING = {
    "selectors.py:select", "threading.py:wait", "threading.py:_wait_for_tstate_lock",
    "queue.py:get", "thread.py:_worker", "app.py:main",
}  # fmt: skip
"""Where a thread rests: what is at the top of its stack then."""

Stack = tuple[str, ...]


class Sampler(threading.Thread):
    """Counts the stacks of all other threads; the outermost call first."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: Counter[Stack] = Counter()
        self.ended = threading.Event()

    def run(self) -> None:
        # Else a busy thread hands over only where it waits, and only such places are seen.
        sys.setswitchinterval(0.0001)
        while not self.ended.wait(SECONDS):
            for thread, frame in sys._current_frames().items():
                if thread != self.ident:
                    stack = _stack(frame)
                    if _short(stack[-1]) not in WAITING:
                        self.seen[stack] += 1


def _stack(frame: FrameType | None) -> Stack:
    calls = []
    while frame is not None:
        calls.append(f"{frame.f_code.co_filename}:{frame.f_code.co_name}")
        frame = frame.f_back
    return tuple(reversed(calls))


def _short(call: str) -> str:
    return call.rpartition("/")[2]


def main() -> None:
    file, program, *arguments = sys.argv[1:]
    sys.argv = [program, *arguments]
    sampler = Sampler()
    signal.signal(signal.SIGUSR1, lambda *_: sampler.seen.clear())
    sampler.start()
    try:
        runpy.run_path(program, run_name="__main__")
    finally:
        sampler.ended.set()
        sampler.join()
        Path(file).write_text(json.dumps(list(sampler.seen.items())))


if __name__ == "__main__":
    main()
