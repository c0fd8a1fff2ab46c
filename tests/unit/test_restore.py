"""What is put in the place of a database, and when it is refused: nothing is changed then."""

import os
import sqlite3
from contextlib import closing
from datetime import datetime

import pytest

from chatbot.storage import restore as files
from chatbot.storage.database import open_storage
from chatbot.storage.lock import InUse, UseLock
from chatbot.storage.restore import NotRestored, restore
from chatbot.storage.tables import Conversation, Message, User
from chatbot.storage.upkeep import copy_sqlite

NOW = datetime(2026, 11, 26, 5, 30)
BEHIND = ".before-restore-20261126-053000"


def people(file):
    with closing(sqlite3.connect(file)) as opened:
        return [name for (name,) in opened.execute("select name from user order by id")]


def fill(file, *names):
    storage = open_storage(f"sqlite:///{file}")
    for name in names:
        storage.write_now(User.create, name=name, name_key=name, password_hash="x")
    return storage


@pytest.fixture
def chat(tmp_path):
    """A database of Ann's, closed, and a copy of it beside."""
    file = tmp_path / "chat.db"
    fill(file, "ann").close()
    copy_sqlite(file, tmp_path / "copy.db")
    fill(file, "bob").close()
    return file


def test_what_was_there_is_kept_and_the_copy_is_in_its_place(chat, tmp_path):
    done = restore(tmp_path / "copy.db", chat, NOW)
    assert people(chat) == ["ann"]
    assert people(done.kept) == ["ann", "bob"]
    assert done.kept == chat.with_name(f"chat.db{BEHIND}")
    assert done.rows["user"] == 1
    assert chat.stat().st_mode & 0o777 == 0o600
    with pytest.raises(NotRestored, match="exists already"):
        restore(tmp_path / "copy.db", chat, NOW)


def test_a_copy_of_all_files_of_a_running_app_has_its_newest_rows(tmp_path):
    running = tmp_path / "running"
    running.mkdir()
    storage = fill(running / "chat.db", "ann", "bob")
    copies = tmp_path / "copies"
    copies.mkdir()
    for name in ("chat.db", "chat.db-wal"):
        (copies / name).write_bytes((running / name).read_bytes())
    storage.close()
    restore(copies / "chat.db", tmp_path / "new" / "chat.db", NOW)
    assert people(tmp_path / "new" / "chat.db") == ["ann", "bob"]
    assert sorted(path.name for path in copies.iterdir()) == ["chat.db", "chat.db-wal"]


def test_what_ark_remembers_may_be_newer_than_the_copy_so_it_is_forgotten(tmp_path):
    file = tmp_path / "chat.db"
    storage = fill(file, "ann")

    def talk():
        made = Conversation.create(user=1, title="x", memory_kind="context", memory_ref="ctx-1")
        said = Message.create(conversation=made, role="user", content="hello")
        Conversation.update(head_id=said.id, memory_upto=said.id).execute()

    storage.write_now(talk)
    copy_sqlite(file, tmp_path / "copy.db")
    storage.close()
    restore(tmp_path / "copy.db", file, NOW)
    storage = open_storage(f"sqlite:///{file}")
    [found] = storage.write_now(lambda: list(Conversation.select()))
    storage.close()
    assert (found.memory_ref, found.memory_upto, found.head_id) == (None, None, 1)


def truncated(file):
    with file.open("rb+") as opened:
        opened.truncate(file.stat().st_size // 2)


def overwritten(file):
    with file.open("rb+") as opened:
        opened.seek(4096)
        opened.write(b"x" * 8192)


def of_another_program(file):
    file.unlink()
    with closing(sqlite3.connect(file)) as opened:
        opened.execute("create table user (id)")


def newer(file):
    with closing(sqlite3.connect(file)) as opened:
        opened.execute("insert into schema_migration (name, applied) values ('9999_later', 0)")
        opened.commit()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (truncated, "is damaged"),
        (overwritten, "is damaged"),
        (of_another_program, "not one of this app"),
        (newer, "made by a newer version of this app (9999_later)"),
        (lambda file: file.write_bytes(b"PGDMP" + bytes(99)), "a dump of a PostgreSQL"),
        (lambda file: file.write_bytes(b"hello"), "no SQLite database"),
        (lambda file: file.write_bytes(b""), "no SQLite database"),
    ],
)
def test_what_cannot_be_used_changes_nothing(chat, tmp_path, spoil, told):
    spoil(tmp_path / "copy.db")
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(NotRestored) as caught:
        restore(tmp_path / "copy.db", chat, NOW)
    assert told in str(caught.value)
    assert people(chat) == ["ann", "bob"]
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_the_database_is_no_copy_of_itself(chat, tmp_path):
    (tmp_path / "link.db").symlink_to(chat)
    with pytest.raises(NotRestored, match="is the database itself"):
        restore(tmp_path / "link.db", chat, NOW)


def test_a_running_app_is_not_replaced_under_its_feet(chat, tmp_path):
    storage = open_storage(f"sqlite:///{chat}")
    with pytest.raises(InUse):
        restore(tmp_path / "copy.db", chat, NOW)
    storage.close()
    restore(tmp_path / "copy.db", chat, NOW)


def test_neither_is_another_program(chat, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "BUSY_SECONDS", 0.01)
    with closing(sqlite3.connect(chat)) as opened:
        opened.execute("select * from user").fetchall()
        with pytest.raises(InUse):
            restore(tmp_path / "copy.db", chat, NOW)
        assert people(chat) == ["ann", "bob"]


def test_a_link_stays_one_and_its_target_is_replaced(chat, tmp_path):
    (tmp_path / "link.db").symlink_to(chat)
    restore(tmp_path / "copy.db", tmp_path / "link.db", NOW)
    assert (tmp_path / "link.db").is_symlink()
    assert people(chat) == ["ann"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files for others")
def test_the_file_belongs_to_whom_it_belonged(chat, tmp_path):
    os.chown(chat, 4711, 4712)
    restore(tmp_path / "copy.db", chat, NOW)
    assert (chat.stat().st_uid, chat.stat().st_gid) == (4711, 4712)


# The lock


def test_a_lock_is_shared_or_had_alone(tmp_path):
    one, other = UseLock(tmp_path / "chat.db"), UseLock(tmp_path / "chat.db")
    one.share()
    other.share()
    other.release()
    with pytest.raises(InUse):
        other.take()
    one.release()
    other.take()
    with pytest.raises(InUse):
        one.share()
    other.release()
    one.share()
    one.release()
