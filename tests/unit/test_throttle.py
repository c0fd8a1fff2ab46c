"""How often somebody may send; the throttle of the doors is tested with the accounts."""

from contextlib import suppress
from datetime import timedelta
from types import SimpleNamespace

import pytest

from chatbot import send_rate
from chatbot.accounts import throttle
from chatbot.addresses import network_of
from chatbot.clock import now
from chatbot.errors import SendingTooFast, TooManyAttempts
from chatbot.send_rate import SendRateLimit

HERE, THERE = "192.0.2.1", "198.51.100.7"


@pytest.fixture
def seconds(monkeypatch):
    made = SimpleNamespace(at=1000.0)
    monkeypatch.setattr(send_rate, "time", SimpleNamespace(monotonic=lambda: made.at))
    return made


def sent(sends, user_id, address, times):
    """How many of so many sends were let through."""
    let_through = 0
    for _ in range(times):
        try:
            sends.take(user_id, address)
            let_through += 1
        except SendingTooFast:
            pass
    return let_through


def test_a_person_who_sends_too_fast_waits_until_the_minute_is_over(seconds):
    sends = SendRateLimit(3)
    assert sent(sends, 1, HERE, 2) == 2
    seconds.at += 50
    assert sent(sends, 1, HERE, 5) == 1
    with pytest.raises(SendingTooFast) as told:
        sends.take(1, THERE)
    assert told.value.values["seconds"] == 10
    assert sent(sends, 2, HERE, 1) == 1, "somebody else is not concerned"
    seconds.at += 10.1
    assert sent(sends, 1, HERE, 5) == 2, "those that were refused do not count"


def test_many_accounts_at_one_address_are_one_crowd(seconds):
    sends = SendRateLimit(2)
    assert sum(sent(sends, user_id, HERE, 2) for user_id in range(50)) == 20
    assert sent(sends, 50, THERE, 1) == 1


def test_a_crowd_at_one_address_is_refused_without_a_trace(seconds):
    sends = SendRateLimit(2)
    for user_id in range(10):
        sent(sends, user_id, HERE, 2)
    assert sent(sends, 99, HERE, 2) == 0
    assert sent(sends, 99, THERE, 2) == 2


def test_nothing_is_kept_of_who_has_sent_longer_ago(seconds):
    sends = SendRateLimit(2)
    for user_id in range(100):
        sends.take(user_id, f"192.0.2.{user_id}")
    seconds.at += 61
    sends.take(1, HERE)
    assert len(sends._sent) == 2


def test_no_limit(seconds):
    assert sent(SendRateLimit(0), 1, HERE, 1000) == 1000


def test_a_customer_is_one_address():
    assert network_of("2001:db8:1:2:3::4") == network_of("2001:db8:1:2:ffff::")
    assert network_of("2001:db8:1:3::") != network_of("2001:db8:1:2::")
    assert network_of("::ffff:192.0.2.1") == "192.0.2.1"


@pytest.mark.parametrize("hours", [2, 24 * 365])
def test_a_clock_set_back_makes_nobody_wait_longer(storage, clock, hours):
    clock.at = now()
    clock.ahead = timedelta(hours=hours)
    limit = throttle.Limit(free=3, longest=300)

    def fail():
        return storage.write_now(lambda: throttle.count_attempt({"account:ann": limit}))

    for _ in range(5):
        with suppress(TooManyAttempts):
            fail()
    clock.ahead = timedelta()
    for _ in range(3):
        fail()
    with pytest.raises(TooManyAttempts) as told:
        fail()
    assert told.value.values["seconds"] <= 2
    clock.ahead = timedelta(seconds=-30)
    with pytest.raises(TooManyAttempts) as told:
        fail()
    assert told.value.values["seconds"] <= 2, "clocks of two machines differ"
