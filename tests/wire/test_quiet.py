"""What no page sends is refused without a word in the log: anybody may send it, for ever."""

import socket

import pytest

from tests.server import running_server

ROUTES = "/gradio_api/chatbot"
JOIN = "/gradio_api/queue/join"


def request(method, path, *headers, body=b""):
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1:{port}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def post(path, body, *headers):
    return request("POST", path, f"Content-Length: {len(body)}", *headers, body=body)


BODIES = [
    b"", b"{", b"[]", b"\xff\xfe", b'{"name": 1, "password": []}', b"[" * 50_000, b'{"a":' * 5000,
    b'{"name": "\\ud800", "password": "\\ud800 12345678"}', b'{"name": "a\\u0000b"}', b"1e999",
    b'{"data": [], "fn_index": 99999, "session_hash": "x"}', b'{"data": {}, "session_hash": []}',
    b'{"data": [{"path": "http://x", "meta": {"_type": "gradio.FileData"}}], "fn_index": 0}',
]  # fmt: skip
PATHS = [
    "/%ff%fe", "/%00", "//", "/./../", "/" + "a" * 5000, "/assets/..%2f..%2fapp.py", "/static/%00",
    "/gradio_api/file=http://x", "/proxy=http://x", f"{ROUTES}/nowhere",
    "/gradio_api/queue/data", "/gradio_api/queue/data?session_hash=%ff%00",
    "/gradio_api/queue/data?" + "a=b&" * 500, "/gradio_api/heartbeat/%00",
    "/?deep_link=x&__theme=y",
]  # fmt: skip
HEADERS = [
    "Cookie: chatbot_login=\xff\xfe", "Cookie: ;;=;;\x01", "Accept-Language: ;;q=x,,zh;q=1e999",
    "Origin: http://[::1", "Referer: \xff", "X-Forwarded-For: x,,;", "Content-Length: abc",
    "Content-Length: -5", "Content-Length: 99999999999999999999", "Transfer-Encoding: bogus",
    "Range: bytes=9-1", "Upgrade: websocket", "Sec-Fetch-Site: \xff",
    "User-Agent: " + "\xff" * 5000,
]  # fmt: skip
GARBAGE = [
    b"\x16\x03\x01\x02\x00\x01", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET\r\n\r\n", b"\0" * 100,
    b"GET / HTTP/9.9\r\n\r\n", b"GET http://x:99999/ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
]  # fmt: skip


def requests():
    for path in (f"{ROUTES}/login", f"{ROUTES}/register", f"{ROUTES}/logins/end", JOIN):
        for body in BODIES:
            yield post(path, body, "Content-Type: application/json")
        # The sender leaves in the middle of its body.
        yield request("POST", path, "Content-Length: 50", body=b'{"na')
        yield request("POST", path, "Transfer-Encoding: chunked", body=b"5\r\nab")
        yield request("POST", path, "Transfer-Encoding: chunked", body=b"ZZ\r\n")
    for path in PATHS:
        for method in ("GET", "POST", "HEAD", "BREW"):
            yield request(method, path)
    for header in HEADERS:
        for path in ("/", f"{ROUTES}/me", f"{ROUTES}/login", "/gradio_api/queue/data"):
            yield request("GET", path, header)
            yield request("POST", path, header)
    yield from GARBAGE


def answer(port, sent):
    """The status line that comes back; empty when the server just closes."""
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        try:
            connection.sendall(sent.replace(b"{port}", str(port).encode()))
            connection.shutdown(socket.SHUT_WR)
            return connection.recv(100).split(b"\r\n")[0]
        except ConnectionError:
            return b""


def test_what_no_page_sends_is_refused_quietly(tmp_path):
    with running_server(None, tmp_path) as server:
        for sent in requests():
            status = answer(server.port, sent)
            assert not status.startswith(b"HTTP/1.1 5"), sent[:200]
            if "Traceback" in server.log:
                pytest.fail(f"{sent[:200]!r}: {server.log[-2000:]}")
        assert "ok" in server.health()
