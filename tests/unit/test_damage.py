"""What is told when a database fails: a full disk, a damaged or vanished file, and a fault of this
app are four things."""

import re
import shutil
import sqlite3
import subprocess
import sys
import uuid

import peewee
import pytest
from playhouse import db_url
from playhouse.migrations import Runner
from playhouse.pool import PooledSqliteDatabase

from chatbot.config import ROOT
from chatbot.errors import (
    BadSettings,
    StorageDamaged,
    StorageFault,
    StorageMissing,
    StorageUnavailable,
)
from chatbot.storage.database import MIGRATIONS, open_storage
from chatbot.storage.lock import UseLock
from chatbot.storage.tables import Conversation, Message, User

pytestmark = pytest.mark.anyio
ANN = {"name": "Ann", "name_key": "ann", "password_hash": "x"}


@pytest.fixture
def database_url(each_database_url):
    return each_database_url


def fill(rows=2000):
    user = User.create(**ANN)
    conversation = Conversation.create(user=user)
    for number in range(rows):
        Message.create(conversation=conversation, role="user", content=f"secret {number}" * 20)


FAULTS = {
    "a table that is not there": lambda db: db.execute_sql("select * from nowhere"),
    "no SQL": lambda db: db.execute_sql("selekt 1"),
    "a second one of what is unique": lambda db: (User.create(**ANN), User.create(**ANN)),
    "a value of no known type": lambda db: db.execute_sql(
        "select * from message where content = " + db.param, (object(),)
    ),
    "too few values": lambda db: db.execute_sql(f"select {db.param}", ()),
    "a text that is no number": lambda db: db.execute_sql(
        'insert into "user" (id, name) values (' + db.param + ", 'x')", ("secret word",)
    ),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_fault_of_this_app_is_not_reported_as_a_full_disk(storage, caplog, fault):
    with pytest.raises(StorageFault) as caught:
        await storage.write(fault, storage.database)
    assert not isinstance(caught.value, StorageUnavailable)
    [record] = [one for one in caplog.records if one.levelname == "ERROR"]
    assert re.search(r"database: \w+Error .* at .*database\.py:\d+", record.getMessage())
    assert "secret" not in caplog.text
    assert await storage.read(User.select().count) == 0
    await storage.look()


async def test_a_server_that_ends_a_call_is_trouble_and_it_passes(postgres):
    name = f"chat_{uuid.uuid4().hex}"
    postgres.psql(f"create database {name}")
    storage = open_storage(postgres.get_uri(name))
    with pytest.raises(StorageUnavailable) as caught:
        await storage.read(
            storage.database.execute_sql, "select pg_terminate_backend(pg_backend_pid())"
        )
    assert type(caught.value) is StorageUnavailable
    assert await storage.read(User.select().count) == 0
    storage.close()


@pytest.fixture
def file(tmp_path):
    return tmp_path / "chat.db"


@pytest.fixture
def lite(file):
    opened = open_storage(f"sqlite:///{file}")
    opened.write_now(fill)
    yield opened
    opened.close()


async def test_a_damaged_page_is_reported_and_health_remembers_it(lite, file):
    await lite.empty_log()
    lite.database.close_all()
    with file.open("rb+") as opened:
        size = file.stat().st_size
        opened.seek(8192)
        opened.write(b"\xff" * (size - 8192))
    with pytest.raises(StorageDamaged):
        await lite.read(lambda: list(Message.select()))
    with pytest.raises(StorageDamaged):
        await lite.look()


async def test_an_overwritten_file_is_reported_by_health(lite, file):
    await lite.look()
    with file.open("rb+") as opened:
        opened.write(b"GIF89a, no database any more")
    with pytest.raises(StorageDamaged):
        await lite.look()


@pytest.mark.parametrize("how", ["removed", "renamed", "replaced"])
async def test_a_missing_file_is_reported_and_not_created_again(lite, file, how):
    assert await lite.read(User.select().count) == 1
    if how == "removed":
        file.unlink()
    else:
        file.rename(file.with_name("elsewhere.db"))
    if how == "replaced":
        shutil.copy(file.with_name("elsewhere.db"), file)
    for work in (lite.read, lite.read_inline, lite.write, lite.search):
        with pytest.raises(StorageMissing):
            await work(User.select().count)
    with pytest.raises(StorageMissing):
        await lite.look()
    assert file.exists() == (how == "replaced")
    if how == "renamed":
        file.with_name("elsewhere.db").rename(file)
        assert await lite.read(User.select().count) == 1


def test_a_connection_does_not_make_the_file(lite, file):
    lite.database.close_all()
    file.unlink()
    with pytest.raises(peewee.OperationalError), lite.database.connection_context():
        User.select().count()
    assert not file.exists()


def test_a_log_without_its_database_stops_the_start(lite, file, tmp_path):
    kept = (tmp_path / "chat.db-wal").read_bytes()
    assert kept
    lite.close()
    file.unlink()
    (tmp_path / "chat.db-wal").write_bytes(kept)
    with pytest.raises(BadSettings, match="the file is missing"):
        open_storage(f"sqlite:///{file}")
    assert (tmp_path / "chat.db-wal").read_bytes() == kept


def test_a_damaged_file_stops_the_start_and_the_way_out_is_named(file):
    file.write_bytes(b"no database " * 999)
    with pytest.raises(BadSettings, match=r"is damaged .* restore"):
        open_storage(f"sqlite:///{file}")


def test_a_lock_that_lasts_is_trouble(lite, file):
    lite.database.pragma("busy_timeout", 20, permanent=True)
    lite.database.close_all()
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("begin immediate")
    with pytest.raises(StorageUnavailable) as caught:
        lite.write_now(lambda: User.delete().execute())
    assert type(caught.value) is StorageUnavailable
    other.close()


# An older schema


FIRST = "0001_first_tables"


def older(database):
    """A database as the first version made it, closed again."""
    with database.connection_context():
        Runner(database, str(MIGRATIONS)).up(FIRST)
    database.close_all()


def test_a_schema_is_not_changed_under_a_running_server(file, monkeypatch):
    monkeypatch.setattr("chatbot.storage.database.UPGRADE_SECONDS", 0.2)
    older(PooledSqliteDatabase(file))
    server = UseLock(file)
    server.share()
    with pytest.raises(BadSettings, match="stop the app first"):
        open_storage(f"sqlite:///{file}")
    server.release()
    open_storage(f"sqlite:///{file}").close()


def test_two_that_start_at_once_upgrade_once(file):
    older(PooledSqliteDatabase(file))
    start = (
        "import sys; from chatbot.storage.database import open_storage; "
        "open_storage(sys.argv[1]).close()"
    )
    words = [sys.executable, "-c", start, f"sqlite:///{file}"]
    starts = [subprocess.Popen(words, cwd=ROOT) for _ in range(3)]
    assert [process.wait(60) for process in starts] == [0, 0, 0]


def test_a_command_does_not_change_the_schema_of_a_server(postgres):
    name = f"chat_{uuid.uuid4().hex}"
    postgres.psql(f"create database {name}")
    url = postgres.get_uri(name)
    older(db_url.connect(url.replace("postgresql:", "postgresql+pool:")))
    with pytest.raises(BadSettings, match="older schema"):
        open_storage(url, may_upgrade=False)
    open_storage(url).close()
    open_storage(url, may_upgrade=False).close()
