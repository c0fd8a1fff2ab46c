"""Where the app can listen, told before the web server is asked."""

import socket
from contextlib import closing

import pytest

from chatbot import listening
from chatbot.errors import BadSettings
from chatbot.listening import address_for_others, port_for


@pytest.fixture
def taken():
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        yield held.getsockname()[1]


def test_a_port_in_use_is_reported(taken):
    with pytest.raises(BadSettings, match=f"GRADIO_SERVER_PORT: {taken} is in use"):
        port_for("127.0.0.1", taken)


def test_without_a_port_the_first_free_one_is_taken(taken, monkeypatch):
    monkeypatch.setattr(listening, "FIRST_PORT", taken)
    assert taken < port_for("127.0.0.1", None) < taken + listening.PORTS
    monkeypatch.setattr(listening, "PORTS", 1)
    with pytest.raises(BadSettings, match="are in use"):
        port_for("127.0.0.1", None)


def _has_ipv6():
    try:
        with closing(socket.socket(socket.AF_INET6)) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::]"])
def test_these_hosts_can_be_listened_on(host):
    if host.startswith("[") and not _has_ipv6():
        pytest.skip("no IPv6 on this machine")
    assert port_for(host, None) >= listening.FIRST_PORT


@pytest.mark.parametrize("host", ["192.0.2.7", "no-such-host.invalid", "a" * 64, "x..y"])
def test_a_host_of_another_machine_is_reported(host):
    with pytest.raises(BadSettings, match="GRADIO_SERVER_NAME"):
        port_for(host, None)


def test_others_get_an_address_that_they_can_open():
    assert address_for_others("127.0.0.1", 7860) == "http://127.0.0.1:7860/"
    assert address_for_others("[::1]", 80) == "http://[::1]:80/"
    for everywhere in listening.EVERYWHERE:
        shown = address_for_others(everywhere, 7860)
        assert "0.0.0.0" not in shown
        assert "[::]" not in shown
        assert "localhost" not in shown
