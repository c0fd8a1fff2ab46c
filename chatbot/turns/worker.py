"""Which process runs a turn, and whether that process still runs.

On Linux the process id and the start time identify a process, within one boot of the machine and
one PID namespace (a container has its own). On other systems this cannot be checked; there, a dead
process keeps its conversations locked until its leases run out.
"""

import os
import secrets
from pathlib import Path

PROC = Path("/proc")
START_FIELD = 19
"""Index of the start time among the fields after the name in /proc/PID/stat (proc_pid_stat(5))."""


def new_worker() -> str:
    """A unique name for a runner of this process: `<place>:<pid>:<start>:<random>`."""
    pid = os.getpid()
    return f"{_place()}:{pid}:{_started(pid) or ''}:{secrets.token_hex(8)}"


def is_gone(worker: str) -> bool:
    """Whether the process of this name is known to have ended; False if it cannot be checked."""
    place, _, rest = worker.partition(":")
    pid, _, rest = rest.partition(":")
    started, _, _ = rest.partition(":")
    if not started or not pid.isdecimal() or place != _place():
        return False
    return _started(int(pid)) != started


def _place() -> str:
    """The boot id of this machine and its PID namespace; empty if unknown."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
        space = os.readlink(PROC / "self/ns/pid")
    except OSError:
        return ""
    return f"{boot}/{''.join(filter(str.isdecimal, space))}"


def _started(pid: int) -> str | None:
    """When a process started, in clock ticks since boot; None if there is no such process."""
    try:
        told = (PROC / str(pid) / "stat").read_text("utf-8", "replace")
    except OSError:
        return None
    # The name is in brackets and may contain any character.
    fields = told.rpartition(")")[2].split()
    # Z and X are processes that have ended but are still listed.
    return None if fields[0] in "ZX" else fields[START_FIELD]
