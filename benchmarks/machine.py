"""What the kernel says of a process and of the machine, and how much of it a process may have."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
CGROUP = Path("/sys/fs/cgroup/cpu")
PERIOD_US = 10_000


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far, of all its threads."""
    # The name in parentheses may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mb(pid: int) -> float:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise LookupError(pid)


def can_hold() -> bool:
    """Whether `held_to` works here: with Linux's cgroups (version 1), as root."""
    try:
        with held_to(1, os.getpid()):
            return True
    except OSError:
        return False


@contextlib.contextmanager
def held_to(share: float, pid: int) -> Iterator[None]:
    """Let a process have only this share of one processor."""
    group = CGROUP / f"benchmark-{pid}"
    group.mkdir()
    try:
        (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
        (group / "cpu.cfs_quota_us").write_text(str(round(PERIOD_US * share)))
        (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        (CGROUP / "cgroup.procs").write_text(str(pid))
        group.rmdir()


def load() -> float:
    """Processes that ran or waited for a processor in the last minute, on average."""
    return os.getloadavg()[0]
