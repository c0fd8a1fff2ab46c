"""`python -m benchmarks`: the bare SDK, a plain ChatInterface and this app, side by side."""

import argparse
import os
import platform
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import browser, length, running, streaming
from benchmarks.machine import load
from benchmarks.sheet import Sheet
from benchmarks.stage import open_stage
from benchmarks.work import SHORT, Scale, Work

WORKS: dict[str, Work] = {
    "ark": streaming.ark_rate,
    "one": streaming.one_user,
    "first": streaming.first_question,
    "fast": streaming.fast,
    "crowds": streaming.crowds,
    "length": length.replies,
    "looking": length.looking,
    "start": running.starting,
    "login": running.logging_in,
    "processes": running.two_processes,
    "browser": browser.browsing,
}


def main() -> int:
    flags = _flags()
    # So that the servers are ended, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sheet, failed = Sheet(), []
    scale = SHORT if flags.short else Scale()
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        open_stage(Path(folder)) as stage,
    ):
        for name in flags.only or WORKS:
            before, started, known = load(), time.monotonic(), len(sheet.rows)
            try:
                WORKS[name](stage, sheet, scale)
            except Exception as error:
                # The other works are still worth having.
                print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
                failed.append(name)
            taken = time.monotonic() - started
            around = {"load_before": before, "load_after": load(), "seconds": taken}
            for row in sheet.rows[known:]:
                sheet.works.setdefault(row.work, around)
            print(f"{name}: {taken:.0f} s", file=sys.stderr, flush=True)
    print(sheet.table())
    machine = f"{os.cpu_count()} processors, Python {platform.python_version()}"
    print(f"\n{machine}; {'short: the times mean nothing' if flags.short else 'full'}")
    if flags.json:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        flags.json.write_text(sheet.json(at=at, machine=machine, short=flags.short))
    if failed:
        print(f"Failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--short", action="store_true", help="go through everything quickly")
    parser.add_argument("--only", nargs="+", choices=WORKS, metavar="WORK", help=", ".join(WORKS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all values there")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
