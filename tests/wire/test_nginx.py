"""The page behind an nginx that nobody tuned: words pass as they come."""

import asyncio
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pytest

from tests.fake_ark import Fault
from tests.page import PATIENCE, browser, reply_of
from tests.server import free_port, running_server

pytestmark = pytest.mark.anyio
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin")

CONFIG = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    gzip on;
    gzip_proxied any;
    gzip_types text/event-stream;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/cert.pem;
        ssl_certificate_key {folder}/key.pem;
        location / {{
            proxy_pass http://127.0.0.1:{app};
            proxy_set_header Host $http_host;
        }}
    }}
}}
"""


@dataclass
class Proxied:
    """What a browser knows of a server: an address."""

    url: str


@contextmanager
def nginx(folder, app_port):
    folder.mkdir()
    # Its workers are another user's.
    folder.chmod(0o755)
    port = free_port()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(folder=folder, port=port, app=app_port))
    process = subprocess.Popen([NGINX, "-c", config, "-p", folder])
    try:
        yield Proxied(f"https://127.0.0.1:{port}/")
    finally:
        process.terminate()
        process.wait(20)


async def is_up(url):
    async with httpx.AsyncClient(verify=False) as client, asyncio.timeout(PATIENCE):
        while True:
            try:
                return await client.get(f"{url}gradio_api/chatbot/health")
            except httpx.TransportError:
                await asyncio.sleep(0.05)


@pytest.mark.skipif(not NGINX or not shutil.which("openssl"), reason="needs nginx and openssl")
async def test_words_pass_as_they_come(ark, tmp_path, monkeypatch):
    ark.pace = 0
    ark.fail_next(Fault.silence(after=3))
    monkeypatch.setenv("SSL_CERT_FILE", "")
    with (
        running_server(ark, tmp_path, SSL_CERT_FILE="") as server,
        nginx(tmp_path / "nginx", server.port) as proxied,
    ):
        assert (await is_up(proxied.url)).json() == {"status": "ok"}
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nginx" / "cert.pem"))
        async with browser(proxied, "Ann") as here, asyncio.timeout(PATIENCE):
            tab = here.tab()
            conversation = await tab.new_conversation()
            # Ark falls silent after three words, so they come now or not at all.
            async for messages, *_ in tab.event("send", conversation, None, "", "count 30", ""):
                if reply_of(messages) == "1 2 3":
                    break
            await tab.result("stop", conversation)
