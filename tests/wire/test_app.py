"""The app as a process: what it prints, how it ends, and what it says when it cannot start."""

import re
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from chatbot.accounts.throttle import PER_ADDRESS
from tests.page import PASSWORD, ROUTES, browser
from tests.server import ROOT, Server, free_port, running_server


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def started(*flags, **environment):
    """`python app.py`, in a Python that has imported nothing yet."""
    return subprocess.Popen(
        [sys.executable, "app.py", "--port", str(free_port()), *flags],
        cwd=ROOT,
        env={**environment, "PATH": "/usr/bin:/bin", "ARK_API_KEY": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def refused(folder, *flags, **environment):
    """Exit code and what was printed, of a start that must fail."""
    server = Server(folder, {"ARK_API_KEY": "", **environment}, list(flags))
    with pytest.raises(AssertionError, match="did not start"):
        server.start()
    return server.ended(), server.log


def test_it_starts_offline_and_ends_with_ctrl_c(tmp_path):
    with started(DATABASE_URL=f"sqlite:///{tmp_path}/chat.db") as app:
        printed = next(line for line in app.stdout if line.startswith("Open "))
        assert "ok" in httpx.get(f"{printed.split()[1]}{ROUTES}/health").text
        app.send_signal(signal.SIGINT)
        rest, _ = app.communicate(timeout=20)
        assert app.returncode == 0
        assert "Traceback" not in rest


def test_a_setting_that_is_wrong_is_named(tmp_path):
    code, told = refused(
        tmp_path, ARK_CONTEXT_TTL="60", DATABASE_URL=f"sqlite:///{tmp_path}/chat.db"
    )
    assert code == 2
    assert "ARK_CONTEXT_TTL" in told
    assert "3600" in told
    assert "Traceback" not in told


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    code, told = refused(tmp_path, DATABASE_URL="sqlite:////proc/nowhere/chat.db")
    assert code == 2
    assert "/proc/nowhere" in told
    assert "Traceback" not in told


def test_a_port_in_use_is_told(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, told = refused(tmp_path, "--port", port, DATABASE_URL=f"sqlite:///{tmp_path}/chat.db")
    assert code == 2
    assert port in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("flags", "environment", "told"),
    [
        ([], {"ALL_PROXY": "socks4://127.0.0.1:9"}, "ALL_PROXY: "),
        ([], {"GRADIO_NUM_PORTS": "abc"}, "GRADIO_NUM_PORTS: "),
        ([], {"DATABASE_URL": "sqlite:///:memory:"}, "DATABASE_URL: "),
        (["--host", "no-such-host.invalid"], {}, "GRADIO_SERVER_NAME: "),
        (["--host", "192.0.2.7"], {}, "GRADIO_SERVER_NAME: "),
        (["--port", "99999"], {}, "GRADIO_SERVER_PORT: "),
        (["--port", "-1"], {}, "GRADIO_SERVER_PORT: "),
    ],
)
def test_no_setting_ends_in_a_traceback(tmp_path, flags, environment, told):
    url = f"sqlite:///{tmp_path}/chat.db"
    code, printed = refused(tmp_path, *flags, **{"DATABASE_URL": url, **environment})
    assert code == 2
    assert f"Cannot start: {told}" in printed
    assert "Traceback" not in printed


def test_proxies_and_odd_spellings_are_no_obstacle(ark, tmp_path):
    odd = {
        "ALL_PROXY": " socks5://127.0.0.1:9 ",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "HTTPS_PROXY": " ",
        "NO_PROXY": "ark.internal",
        "no_proxy": "[::1], ::1/128",
        "GRADIO_SERVER_PORT": " ",
        "GRADIO_SERVER_NAME": "[::1]",
        "ARK_API_KEY": " Bearer test-key\n",
        "ARK_MODEL": '"ep-test"',
    }
    host = "::1" if has_ipv6() else "127.0.0.1"
    with running_server(ark, tmp_path, "--host", host, **odd) as server:
        assert host in server.url
        assert "ok" in server.health()
        assert "Traceback" not in server.log


def test_the_link_of_a_server_for_everybody_can_be_opened_by_others(tmp_path):
    with running_server(None, tmp_path, "--host", "0.0.0.0") as server:
        link = re.search(r"http://(\S+?):\d+/\?invite=", server.printed("For testers"))
        assert link[1] not in ("0.0.0.0", "localhost", "127.0.0.1")
        assert server.url.startswith("http://localhost:")


def test_a_share_link_that_cannot_be_had_leaves_a_working_app(tmp_path):
    # No tunnel can be had here: its server is one that refuses.
    with running_server(None, tmp_path, "--share", GRADIO_SHARE_SERVER_ADDRESS="127.0.0.1:9") as s:
        assert "ok" in s.health()
        printed = s.printed("For testers")
        assert "No share link could be made" in printed
        code = re.search(r"\?invite=(\S+)", printed)[1]
        new = {"name": "Ann", "password": PASSWORD}
        with httpx.Client(base_url=s.url) as client:
            answer = client.post(f"{ROUTES}/register", json=new)
            assert answer.json()["error"]["code"] == "invitation_refused"
            assert client.post(f"{ROUTES}/register", json={**new, "invite": code}).is_success


def test_the_key_is_nowhere_to_be_seen(ark, tmp_path):
    with running_server(ark, tmp_path, ARK_API_KEY="very-secret-key") as server:
        with httpx.Client(base_url=server.url) as client:
            pages = [client.get(path).text for path in ("/", "/theme.css", f"/{ROUTES}/health")]
        assert not any("very-secret-key" in page for page in pages)
        assert server.end(signal.SIGTERM) == 0
        assert "very-secret-key" not in server.log
        assert "dearest price" in server.log, "an endpoint that does not say whose it is"


@pytest.fixture(scope="module")
def offline_server(tmp_path_factory):
    with running_server(None, tmp_path_factory.mktemp("server")) as server:
        yield server


def test_every_answer_has_the_headers(offline_server):
    with httpx.Client(base_url=offline_server.url) as client:
        for path in ("/", "/config", f"/{ROUTES}/me", "/gradio_api/nothing", "/assets/nothing.js"):
            headers = client.get(path).headers
            assert "frame-ancestors" in headers["content-security-policy"], path
            assert headers["x-content-type-options"] == "nosniff", path


def test_what_the_page_never_sends_is_refused(offline_server):
    with httpx.Client(base_url=offline_server.url) as client:
        crossed = client.post(
            "/gradio_api/queue/join", json={}, headers={"origin": "https://evil.test"}
        )
        assert crossed.status_code == 403
        upload = client.post("/gradio_api/upload", files={"files": ("x.txt", b"x")})
        assert upload.json()["error"]["code"] == "no_such_address"
        for content in (b"x" * 3_000_000, (b"x" * 100_000 for _ in range(40))):
            huge = client.post("/gradio_api/queue/join", content=content)
            assert huge.json()["error"]["code"] == "body_too_large"


@pytest.mark.anyio
async def test_an_event_of_the_page_is_refused_without_a_login(offline_server):
    async with browser(offline_server) as nobody:
        for name, inputs in {"select_session": 2, "send": 5, "delete": 1, "rename": 3}.items():
            with pytest.raises(httpx.HTTPStatusError, match="401"):
                await nobody.tab().result(name, *[None] * inputs)


def wrong_logins(server, times):
    """The answers to as many wrong passwords, each said to come from somewhere else."""
    with httpx.Client(base_url=server.url) as client:
        for number in range(times):
            wrong = {"name": f"nobody {number}", "password": PASSWORD}
            forwarded = {"X-Forwarded-For": f"192.0.2.{number}"}
            yield client.post(f"{ROUTES}/login", json=wrong, headers=forwarded).status_code


def test_a_forwarded_address_is_believed_from_a_named_proxy_only(offline_server, tmp_path):
    tries = PER_ADDRESS.free + 2
    assert 429 in wrong_logins(offline_server, tries)
    with running_server(None, tmp_path, TRUSTED_PROXIES="127.0.0.0/8") as server:
        assert 429 not in wrong_logins(server, tries)
