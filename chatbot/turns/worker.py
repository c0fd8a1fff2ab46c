"""Which process runs a turn, and whether that process still lives.

On Linux a process is known by its number and the moment it started, as long as the machine and the
space of process numbers (a container has its own) are the same. Elsewhere nobody can say, and a
dead process keeps its conversations for as long as its leases last.
"""

import os
import secrets
from pathlib import Path

PROC = Path("/proc")
START_FIELD = 19
"""Of what follows the name in /proc/PID/stat: the moment of the start (proc_pid_stat(5))."""


def new_worker() -> str:
    """A name for this process: `<place>:<pid>:<start>:<random>`; no two runners have the same."""
    pid = os.getpid()
    return f"{_place()}:{pid}:{_started(pid) or ''}:{secrets.token_hex(8)}"


def is_gone(worker: str) -> bool:
    """Whether the process of this name is known to have ended; False where nobody can say."""
    place, _, rest = worker.partition(":")
    pid, _, rest = rest.partition(":")
    started, _, _ = rest.partition(":")
    if not started or not pid.isdecimal() or place != _place():
        return False
    return _started(int(pid)) != started


def _place() -> str:
    """This start of this machine, and the space of process numbers in it; empty where unknown."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
        space = os.readlink(PROC / "self/ns/pid")
    except OSError:
        return ""
    return f"{boot}/{''.join(filter(str.isdecimal, space))}"


def _started(pid: int) -> str | None:
    """When a process started, in ticks since the machine did; None when there is none such."""
    try:
        told = (PROC / str(pid) / "stat").read_text("utf-8", "replace")
    except OSError:
        return None
    # The name stands in brackets and may hold anything.
    fields = told.rpartition(")")[2].split()
    # A process that has ended and that nobody has waited for is still listed.
    return None if fields[0] in "ZX" else fields[START_FIELD]
