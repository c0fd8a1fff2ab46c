"""A Python program with its stacks noted: `python -m benchmarks.sampled FILE PROGRAM [ARGUMENT…]`.

Each stack counts for the processor time its thread has really had, so waiting costs nothing. What
was seen is written to FILE when the program ends; SIGUSR1 forgets what was seen before.
"""

import json
import runpy
import signal
import sys
import threading
from collections import defaultdict
from pathlib import Path
from types import FrameType

SECONDS = 0.004
Stack = tuple[str, ...]


class Sampler(threading.Thread):
    """Milliseconds by the stack of all other threads; the outermost call first."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: defaultdict[Stack, float] = defaultdict(float)
        self.ended = threading.Event()

    def run(self) -> None:
        # Else a busy thread hands over only where it waits, and only such places are seen.
        sys.setswitchinterval(0.0001)
        before: dict[int, int] = {}
        while not self.ended.wait(SECONDS):
            frames = sys._current_frames()
            for thread in threading.enumerate():
                frame = frames.get(thread.ident or 0)
                if frame is None or thread is self:
                    continue
                spent = _processor_time(thread)
                more = spent - before.get(thread.native_id or 0, spent)
                before[thread.native_id or 0] = spent
                if more > 0:
                    self.seen[_stack(frame)] += more / 1e6


def _processor_time(thread: threading.Thread) -> int:
    """Nanoseconds so far; 0 of a thread that has just ended."""
    try:
        return int(Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text().split()[0])
    except OSError:
        return 0


def _stack(frame: FrameType | None) -> Stack:
    calls = []
    while frame is not None:
        calls.append(f"{frame.f_code.co_filename}:{frame.f_code.co_name}")
        frame = frame.f_back
    return tuple(reversed(calls))


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
