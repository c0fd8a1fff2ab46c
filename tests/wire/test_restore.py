"""A backup put back after a crash: the app has what the backup has, nothing of what came after."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import httpx
import pytest

from tests.discretion import PASSWORD
from tests.server import ROOT, running_server

FORGOTTEN = ("memory_ref", "memory_expires_at", "memory_upto")


def command(server, *words, code=0):
    environment = {"PATH": "", "DATABASE_URL": f"sqlite:///{server.folder / 'chat.db'}"}
    ended = subprocess.run(
        [sys.executable, "-m", "chatbot", *map(str, words)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ended.returncode == code, ended.stdout + ended.stderr
    assert ended.stderr.startswith(f"Database: {server.folder / 'chat.db'}\n")
    return ended.stdout + ended.stderr.partition("\n")[2]


def register(server, *names):
    with httpx.Client(base_url=server.url) as client:
        for name in names:
            answer = client.post(
                "gradio_api/chatbot/register", json={"name": name, "password": PASSWORD}
            )
            assert answer.status_code == 200, answer.text
            # Each is somebody else.
            client.cookies.clear()


def content(file):
    """Every row of every table, but what a restore makes Ark forget."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as opened:
        opened.row_factory = sqlite3.Row
        tables = opened.execute("select name from sqlite_master where type = 'table'").fetchall()
        return {
            table["name"]: [
                {key: row[key] for key in row.keys() if key not in FORGOTTEN}  # noqa: SIM118
                for row in opened.execute(f'select * from "{table["name"]}" order by 1')
            ]
            for table in tables
        }


@pytest.mark.parametrize("present", ["whole", "damaged", "gone"])
def test_after_a_crash_the_database_is_the_backup_and_the_other_one_is_kept(ark, tmp_path, present):
    file, backup = tmp_path / "chat.db", tmp_path / "backup.db"
    with running_server(ark, tmp_path) as server:
        register(server, "Ann", "Bob", "Cleo")
        command(server, "backup", backup)
        register(server, *(f"Guest {number}" for number in range(15)))
        if present == "whole":
            assert "is in use: stop the app" in command(server, "restore", backup, code=1)
        server.end(signal.SIGKILL)
        log = tmp_path / "chat.db-wal"
        assert log.stat().st_size, "what came after the backup is in the log"
        if present == "damaged":
            file.write_bytes(b"damaged " * 2000)
        elif present == "gone":
            file.unlink()
        told = command(server, "restore", backup)
        assert "3 accounts, 0 sessions, 0 messages" in told
        assert content(file) == content(backup)
        assert not log.exists()
        assert file.stat().st_mode & 0o777 == 0o600
        if present == "gone":
            assert "There was no database before" in told
        else:
            [aside] = tmp_path.glob("chat.db.before-restore-*[0-9]")
            assert str(aside) in told
            assert present == "damaged" or len(content(aside)["user"]) == 18
        server.start()
        register(server, "Dan")
        assert [row["name"] for row in content(file)["user"]] == ["Ann", "Bob", "Cleo", "Dan"]
        assert server.end() == 0
    assert list(tmp_path.glob("*.part*")) == []
