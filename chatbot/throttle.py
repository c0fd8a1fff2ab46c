"""Throttles: how often somebody may try a password, register, or send, by account and by address.

Failures at the door are counted in the database, for all processes together. Sends are counted
in memory, because what they may cost is limited by the budget already: with several processes,
each lets so many through.
"""

import ipaddress
import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from peewee import PostgresqlDatabase

from chatbot.errors import SendingTooFast, TooManyAttempts
from chatbot.storage.fields import now
from chatbot.storage.models import Attempt, database

WINDOW = timedelta(minutes=15)
SKEW = timedelta(minutes=1)
"""By how much the clock of another process's machine may be ahead."""
MINUTE = 60.0
PEOPLE_PER_ADDRESS = 10
"""How many people at full speed one address may stand for."""
# Any number will do, as long as nothing else locks it.
LOCK = 0x61636374


@dataclass(frozen=True)
class Limit:
    """How many failures are free within `WINDOW`; the wait then doubles from 2 s to `longest`."""

    free: int
    longest: int

    def wait(self, failures: int, last: datetime) -> float:
        """Seconds from now until the next attempt is let through; not positive: right away."""
        if failures < self.free:
            return 0
        delay = min(2 ** (failures - self.free + 1), self.longest)
        return delay - max(0, (now() - last).total_seconds())


PER_ACCOUNT = Limit(free=5, longest=300)
# A school, or everybody behind one proxy, may share an address: more is free, and waits stay short.
PER_ADDRESS = Limit(free=20, longest=60)


def reserve(limits: Mapping[str, Limit]) -> list[int]:
    """Count an attempt for every subject before its outcome is known; raises `TooManyAttempts`.

    Counting first is what makes the limit hold when many attempts come at once. An attempt that
    succeeds is to be forgotten again by its id; one that is turned away here is not counted.
    Runs inside a transaction.
    """
    if isinstance(database.obj, PostgresqlDatabase):
        # SQLite has one writer at a time; here two could count before either has inserted.
        database.execute_sql("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
    moment = now()
    since, until = moment - WINDOW, moment + SKEW
    # What was counted before the clock was set back would count for as long as it was ahead.
    Attempt.delete().where((Attempt.at <= since) | (Attempt.at > until)).execute()
    failures = Attempt.recent(limits, since)
    wait = max(
        (limits[subject].wait(count, last) for subject, (count, last) in failures.items()),
        default=0,
    )
    if wait > 0:
        raise TooManyAttempts(seconds=math.ceil(wait))
    return [Attempt.create(subject=subject).id for subject in limits]


class SendRateLimit:
    """How often people of this process have sent in the last minute. Lives in one event loop."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._sent: dict[str, deque[float]] = {}

    def take(self, user_id: int, address: str) -> None:
        """Count one more send; raises `SendingTooFast`, and then it is not counted."""
        if not self._per_minute:
            return
        moment = time.monotonic()
        self._forget_before(moment - MINUTE)
        limits = {
            f"user:{user_id}": self._per_minute,
            f"address:{network_of(address)}": self._per_minute * PEOPLE_PER_ADDRESS,
        }
        for subject, limit in limits.items():
            sent = self._sent.get(subject)
            if sent is not None and len(sent) >= limit:
                raise SendingTooFast(seconds=math.ceil(sent[0] + MINUTE - moment))
        for subject in limits:
            self._sent.setdefault(subject, deque()).append(moment)

    def _forget_before(self, moment: float) -> None:
        for subject, sent in list(self._sent.items()):
            while sent and sent[0] < moment:
                sent.popleft()
            if not sent:
                del self._sent[subject]


def network_of(address: str) -> str:
    """What counts as one address: for IPv6 the /64 that a single customer gets."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((int(ip), 64), strict=False))
