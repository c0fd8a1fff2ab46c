"""The tables on SQLite and on PostgreSQL: migrations, the branch, locks, what is whose."""

import asyncio
import sqlite3
import threading
import uuid
from dataclasses import replace
from datetime import timedelta

import peewee
import pytest
from playhouse import db_url
from playhouse.migrations import Runner
from playhouse.schema_diff import diff_models

from chatbot.clock import now
from chatbot.errors import (
    BadInput,
    BadSettings,
    ChangedElsewhere,
    ConversationNotFound,
    StorageFault,
    StorageUnavailable,
    TurnRunning,
)
from chatbot.storage import (
    conversations,
    erase,
    invitations,
    logins,
    messages,
    search,
    turns,
    users,
)
from chatbot.storage.database import MIGRATIONS, open_storage
from chatbot.storage.prepared import peewee_fits, prepared
from chatbot.storage.tables import TABLES, Conversation, Login, Message, Turn, User
from chatbot.storage.turn_values import Continue, Edit, Regenerate, Send, TurnOptions

pytestmark = pytest.mark.anyio

SCHEMAS = [path.stem for path in sorted(MIGRATIONS.glob("[0-9]*.py"))]
ANN = {"name": "Ann", "name_key": "ann", "password_hash": "x"}


@pytest.fixture
def database_url(each_database_url):
    return each_database_url


@pytest.fixture
def user(storage):
    return storage.write_now(User.create, **ANN)


def thread(user, texts):
    conversation = Conversation.create(user=user)
    parent = None
    for text in texts:
        parent = Message.create(conversation=conversation, parent=parent, role="user", content=text)
    Conversation.update(head_id=parent.id if parent else None).where(
        Conversation.id == conversation.id
    ).execute()
    return Conversation.get_by_id(conversation.id)


def test_migrations_build_what_the_models_say(storage):
    difference = storage.write_now(diff_models, storage.database, TABLES)
    assert not difference, str(difference)


@pytest.mark.parametrize("last", SCHEMAS)
def test_a_database_of_every_earlier_schema_opens(each_bare_database_url, last):
    database_url = each_bare_database_url
    old = db_url.connect(database_url)
    with old.connection_context():
        Runner(old, str(MIGRATIONS)).up(last)
    storage = open_storage(database_url)
    assert not storage.write_now(diff_models, storage.database, TABLES)
    storage.write_now(thread, storage.write_now(User.create, **ANN), ["works"])
    storage.close()


def test_the_branch_is_walked_from_its_end(storage, user):
    def work():
        conversation = thread(user, [str(number) for number in range(10)])
        first = messages.branch(conversation.head_id, 100)[3]
        # A second version from there on is another branch.
        other = Message.create(
            conversation=conversation, parent=first, role="user", content="other"
        )
        return (
            [m.content for m in messages.branch(conversation.head_id, 4)],
            [m.content for m in messages.branch(other.id, 100)],
            messages.branch(None, 5),
        )

    newest, other, nothing = storage.write_now(work)
    assert newest == ["6", "7", "8", "9"]
    assert other == ["0", "1", "2", "3", "other"]
    assert nothing == []


def test_the_list_is_newest_first_and_searches_titles_and_messages(storage, user):
    def work():
        made = [thread(user, [word]) for word in ("apple pie", "banana bread", "苹果")]
        for place, conversation in enumerate(made):
            Conversation.update(
                title=f"T{place}", updated_at=now() + timedelta(seconds=place)
            ).where(Conversation.id == conversation.id).execute()
        return [
            [row.title for row in conversations.newest(user.id, 2)],
            [row.title for row in search.conversations(user.id, 9, "banana")],
            [row.title for row in search.conversations(user.id, 9, "PIE apple")],
            [row.title for row in search.conversations(user.id, 9, "果")],
            [row.title for row in search.conversations(user.id, 9, "t1")],
            [row.title for row in search.conversations(user.id, 9, "100%_")],
            [row.title for row in search.conversations(user.id, 9, "t1", titles_only=True)],
            search.conversations(user.id, 9, "banana", titles_only=True),
            conversations.newest(user.id + 1, 9),
            search.conversations(user.id + 1, 9, "banana"),
        ]

    assert storage.write_now(work) == [
        ["T2", "T1"], ["T1"], ["T0"], ["T2"], ["T1"], [], ["T1"], [], [], [],
    ]  # fmt: skip


def test_the_list_is_one_query(storage, user):
    def work():
        for number in range(20):
            thread(user, [str(number)])
        asked = []
        execute = storage.database.execute_sql
        storage.database.execute_sql = lambda *args, **kw: (
            asked.append(args) or execute(*args, **kw)
        )
        try:
            rows = conversations.newest(user.id, 50)
            _ = [(row.title, row.updated_at, row.turn_is_running) for row in rows]
        finally:
            del storage.database.execute_sql
        return len(rows), len(asked)

    assert storage.write_now(work) == (20, 1)


def test_a_conversation_is_found_only_by_its_user(storage, user):
    def work():
        conversation = thread(user, [])
        other = User.create(name="Eve", name_key="eve", password_hash="x")
        assert conversations.find(user.id, str(conversation.id)).id == conversation.id
        for stranger, key in (
            (other.id, conversation.id), (user.id, uuid.uuid4()), (user.id, "x"), (user.id, None),
        ):  # fmt: skip
            with pytest.raises(ConversationNotFound):
                conversations.find(stranger, key)

    storage.write_now(work)


HELLO = Send("hello")
OPTIONS = TurnOptions(
    model="ep-test",
    memory_kind="chat",
    prompt_hash="",
    worker="a",
    lease_seconds=9,
    max_turns_per_user=2,
)


def nobody_is_gone(worker):
    return False


def begin(user_id, conversation_id, worker="a", is_gone=nobody_is_gone, request=HELLO):
    options = replace(OPTIONS, worker=worker)
    return turns.start(user_id, str(conversation_id), request, lambda _: options, is_gone)


def test_one_worker_at_a_time_holds_a_conversation(storage, user, clock):
    key = storage.write_now(thread, user, []).id
    first = storage.write_now(begin, user.id, key)
    with pytest.raises(TurnRunning):
        storage.write_now(begin, user.id, key, "b")
    assert storage.write_now(turns.running_in, user.id) == [str(key)]
    with pytest.raises(ConversationNotFound):
        storage.write_now(begin, user.id + 1, key, "b")
    clock.ahead = timedelta(seconds=10)
    assert storage.write_now(turns.running_in, user.id) == [], "its lease has run out"
    second = storage.write_now(begin, user.id, key, "b")
    states = storage.write_now(
        lambda: [(Turn.get_by_id(turn.id).state, turn.worker) for turn in Turn.select()]
    )
    assert sorted(states) == [("failed", "a"), ("streaming", "b")]
    assert second.before_id is None, "a turn that got no word gives up its place"
    assert first.id != second.id


def test_a_conversation_of_a_process_that_is_known_to_be_dead_is_free(storage, user):
    key = storage.write_now(thread, user, []).id
    storage.write_now(begin, user.id, key)
    storage.write_now(begin, user.id, key, "b", lambda worker: worker == "a")
    assert storage.write_now(lambda: Turn.select().where(Turn.state == "streaming").count()) == 1


def test_the_database_refuses_a_second_running_turn(storage, user):
    key = storage.write_now(thread, user, []).id
    storage.write_now(begin, user.id, key)
    again = {"user": user.id, "conversation": key, "model": "", "memory_kind": "chat"}
    with pytest.raises(StorageFault):
        storage.write_now(Turn.create, prompt_hash="", **again)


def test_no_id_is_given_twice(storage, user):
    """An id that a deleted row had could be somebody else's by the time it is named."""

    def last_ids():
        conversation = thread(user, ["one", "two"])
        login = Login.create(user=user, token_hash=uuid.uuid4().hex, expires_at=now())
        other = User.create(name="Eve", name_key="eve", password_hash="x")
        ids = conversation.head_id, login.id, other.id
        Message.delete().execute()
        Login.delete().execute()
        other.delete_instance()
        return ids

    first, second = storage.write_now(last_ids), storage.write_now(last_ids)
    assert [new > old for old, new in zip(first, second, strict=True)] == [True] * 3


def test_what_is_read_is_of_one_moment(database_url, storage, user):
    """Opening and exporting take several queries; another process deletes between two of them."""
    key = storage.write_now(thread, user, ["one", "two"]).id
    other = open_storage(database_url)

    def read():
        found = conversations.find(user.id, key)
        other.write_now(erase.conversation, user.id, str(key))
        return [message.content for message in messages.branch(found.head_id, 9)]

    assert storage._call(storage._reading, read) == ["one", "two"]
    other.close()


TOO_LARGE = (2**63, 10**30, -1, 0)


@pytest.mark.parametrize("number", TOO_LARGE)
def test_an_id_that_no_row_can_have_is_not_found(storage, user, number):
    key = str(storage.write_now(thread, user, ["one"]).id)
    for error, work, *values in (
        (ConversationNotFound, messages.text_of, user.id, number),
        (ChangedElsewhere, messages.show_version, user.id, key, number, 1),
        (ChangedElsewhere, messages.undo, user.id, key, number),
        (ChangedElsewhere, begin, user.id, key, "a", nobody_is_gone, Edit(number, "x")),
        (ChangedElsewhere, begin, user.id, key, "a", nobody_is_gone, Regenerate(number)),
        (ChangedElsewhere, begin, user.id, key, "a", nobody_is_gone, Continue(number)),
        (BadInput, users.change, number),
        (BadInput, users.set_disabled, number, True),
        (BadInput, invitations.revoke, number),
    ):
        with pytest.raises(error):
            storage.write_now(work, *values)
    assert storage.write_now(logins.end_one, user.id, number) is None


def test_work_that_fails_leaves_nothing(storage, user):
    def work():
        thread(user, ["half"])
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        storage.write_now(work)
    assert storage.write_now(Conversation.select().count) == 0


def test_moments_keep_their_millisecond_and_their_zone(storage, user):
    conversation = storage.write_now(thread, user, [])
    moment = now()
    storage.write_now(
        lambda: (
            Conversation.update(updated_at=moment)
            .where(Conversation.id == conversation.id)
            .execute()
        )
    )
    again = storage.write_now(lambda: Conversation.get_by_id(conversation.id))
    assert again.updated_at == moment
    assert again.updated_at.utcoffset() == timedelta(0)


async def test_readers_go_on_while_another_program_writes(tmp_path):
    path = tmp_path / "chat.db"
    storage = open_storage(f"sqlite:///{path}")
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("begin immediate")
    assert await storage.read(User.select().count) == 0
    assert await storage.read_inline(User.select().count) == 0
    writer.execute("rollback")
    writer.close()
    storage.close()


async def test_a_short_look_takes_a_thread_only_where_it_would_wait(storage):
    elsewhere = await storage.read_inline(threading.get_ident) != threading.get_ident()
    assert elsewhere == isinstance(storage.database, peewee.PostgresqlDatabase)


async def test_a_short_look_lets_streams_pass_while_others_wait_for_a_thread(storage):
    held = threading.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(storage.read(held.wait))
        await asyncio.sleep(0)
        assert await storage.read_inline(threading.get_ident) != threading.get_ident()
        held.set()


async def test_a_permanently_locked_database_is_reported(tmp_path):
    path = tmp_path / "chat.db"
    storage = open_storage(f"sqlite:///{path}")
    # The wait is a setting of the connection; five seconds would only make this test long.
    storage.database.pragma("busy_timeout", 50, permanent=True)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("begin immediate")
    with pytest.raises(StorageUnavailable):
        await storage.write(User.create, name="a", name_key="a", password_hash="x")
    writer.close()
    await storage.write(User.create, name="a", name_key="a", password_hash="x")
    storage.close()


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////proc/nowhere/chat.db",
        "sqlite:////dev/null/chat.db",
        "postgresql://nobody:secret@127.0.0.1:1/none",
        "postgresql://nobody:secret@127.0.0.1",
    ],
)
def test_a_place_that_cannot_be_used_is_named_without_its_password(url):
    with pytest.raises(BadSettings) as caught:
        open_storage(url)
    assert "DATABASE_URL" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_reported(tmp_path):
    path = tmp_path / "chat.db"
    path.write_text("not a database, but long enough to look like one" * 100)
    with pytest.raises(BadSettings, match=r"chat\.db"):
        open_storage(f"sqlite:///{path}")


def test_a_prepared_query_is_written_once_and_takes_any_values(storage):
    written = []

    @prepared
    def made_by(after, name):
        written.append(1)
        # Another order than that of the values, a constant between them, a moment to convert.
        new = User.created_at > after
        return User.select().where(User.name == name, User.password_hash == "x", new)

    def ask():
        start = now() - timedelta(days=1)
        for name in ("Ann", "Bob"):
            User.create(name=name, name_key=name, password_hash="x")
        return [
            [user.name for user in made_by(after, name)]
            for after, name in ((start, "Ann"), (start, "Bob"), (start, "Cid"))
        ] + [list(made_by(now() + timedelta(days=1), "Ann"))]

    assert storage.write_now(ask) == [["Ann"], ["Bob"], [], []]
    assert len(written) == 1


def test_prepared_writes_tell_the_new_id_and_how_many_rows_changed(storage, user):
    @prepared
    def add(**values):
        return Message.insert(role="user", **values)

    @prepared
    def change(conversation_id, old, **values):
        return Message.update(**values).where(
            Message.conversation == conversation_id, Message.content == old
        )

    moment = now()
    later = moment + timedelta(days=1)

    def write():
        one = Conversation.create(user=user).id
        made = [
            add(conversation=one, content=words, created_at=moment) for words in ("a", "a", "b")
        ]
        changed = [change(one, old, content="c") for old in ("a", "a", "b")]
        # Other names are another statement.
        changed.append(change(one, "c", created_at=later))
        rows = Message.select().where(Message.conversation == one).order_by(Message.id)
        return made, changed, [(row.id, row.content, row.created_at) for row in rows]

    made, changed, rows = storage.write_now(write)
    assert changed == [2, 0, 1, 3]
    assert rows == [(message_id, "c", later) for message_id in made]


def test_queries_are_prepared_with_the_peewee_of_the_requirements():
    assert peewee_fits()


def test_a_peewee_that_does_not_fit_is_logged_and_queries_still_work(
    storage, user, monkeypatch, caplog
):
    """All that the app asks is answered the same then."""
    key = storage.write_now(thread, user, ["one", "two"]).id
    storage.write_now(begin, user.id, key)

    def look():
        found = conversations.totalled(user.id, str(key))
        return found, messages.shown_branch(found.head_id, 9), turns.running_in(user.id)

    expected = storage.write_now(look)
    with monkeypatch.context() as patch:
        patch.setattr(peewee.RawQuery, "tuples", None)
        peewee_fits.cache_clear()
        assert not peewee_fits()
        assert "queries are not prepared with this Peewee" in caplog.text
        assert storage.write_now(look) == expected
        login = {"user": user, "token_hash": "x", "expires_at": now() + timedelta(days=1)}
        storage.write_now(Login.create, **login)
        assert storage.write_now(logins.find, "x").name == "Ann"
    peewee_fits.cache_clear()
