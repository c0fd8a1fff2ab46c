"""Databases of every earlier schema are opened and gone on with: on SQLite and on PostgreSQL."""

import itertools
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from chatbot.storage import conversations, erase, export, messages, reports, usage
from chatbot.storage.current import database
from chatbot.storage.database import open_storage
from chatbot.storage.fields import stored_instant
from chatbot.storage.tables import Conversation, Message, State, Turn
from tests.wire.old_rows import ANN, BOB, EARLIER, EVE, TABLES, TOKENS, fill, open_old

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TODAY = NOON.replace(hour=0)
MONTH = TODAY.replace(day=1)
ENDED_EARLY = ("interrupted", "failed", "filtered", "length")
LONGEST_LEASE = 60_000
ALL = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(params=EARLIER)
def schema(request):
    return request.param


@pytest.fixture
def database_url(each_bare_database_url):
    return each_bare_database_url


class Before:
    """What the old tables say, in the words of the old versions, without any code of the app."""

    def __init__(self, old, schema, at):
        self.number = int(schema[:4])
        self.at = at
        rows = {table: self._rows(old, table) for table in TABLES}
        self.users = {row["id"]: row for row in rows["user"]}
        self.talks = {row["id"]: row for row in rows["conversation"]}
        self.messages = {row["id"]: row for row in rows["message"]}
        self.ledger = rows["usage"]
        for row in self.ledger:
            reply = self.messages.get(row["reply_id"])
            known = reply is not None and reply["conversation_id"] == row["conversation_id"]
            row["reply"] = reply if known else None
        for row in self.ledger:
            row["open"] = not row["settled"] and self._is_open(row)

    @staticmethod
    def _rows(old, table):
        cursor = old.execute_sql(f'SELECT * FROM "{table}" ORDER BY id')
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        for row in rows:
            for name in ("id", "conversation_id"):
                if isinstance(row.get(name), uuid.UUID):
                    row[name] = row[name].hex
            if table == "usage":
                added = {"reply_id": None, "settled": True, "network": ""}
                row.update({**added, "micro_yuan": 0, "saved_micro_yuan": 0, **row})
        return rows

    def _is_open(self, row):
        """Whether a row is a reservation still, as the next start of an old version would say."""
        if row["reply"] is None:
            return True
        newest = max(other["id"] for other in self.ledger if other["reply"] is row["reply"])
        return row["reply"]["state"] == "streaming" and row["id"] == newest

    def person(self, user, since):
        """Tokens and micro-yuan used, and tokens reserved."""
        mine = [row for row in self.ledger if row["user_id"] == user and row["at"] >= since]
        used = [row for row in mine if not row["open"]]
        return (
            sum(map(tokens, used)),
            sum(row["micro_yuan"] for row in used),
            sum(tokens(row) for row in mine if row["open"]),
        )

    def ledger_of(self, user, since):
        since = stored_instant(since)
        return [row for row in self.ledger if row["user_id"] == user and row["at"] >= since]

    def deleted_on(self, network, since):
        gone = [row for row in self.ledger if row["user_id"] is None and row["network"] == network]
        return sum(tokens(row) for row in gone if row["at"] >= since)

    def app(self, since):
        return sum(row["micro_yuan"] for row in self.ledger if row["at"] >= since)

    def days(self, starts):
        """Of each day: prompt, cached, completion, micro-yuan, saved."""
        sums = [[0] * 5 for _ in starts]
        for row in self.ledger:
            passed = [number for number, start in enumerate(starts) if row["at"] >= start]
            if passed:
                numbers = [row[name] for name in (*TOKENS[:3], "micro_yuan", "saved_micro_yuan")]
                sums[passed[-1]] = [a + b for a, b in zip(sums[passed[-1]], numbers, strict=True)]
        return [tuple(one) for one in sums]

    def total(self, key):
        """Prompt, cached, completion and micro-yuan of a conversation."""
        ended = [row for row in self.ledger if row["conversation_id"] == key and not row["open"]]
        return tuple(sum(row[name] for row in ended) for name in (*TOKENS[:3], "micro_yuan"))

    def runs(self, key):
        until = self.talks[key].get("turn_until")
        return until is not None and self.at < until <= self.at + LONGEST_LEASE

    def branch(self, key):
        found, at = [], self.talks[key]["head_id"]
        while at is not None:
            found.insert(0, self.messages[at])
            at = found[0]["parent_id"]
        return found

    def numbers(self, message):
        """What is shown of what a reply used."""
        named = [row for row in self.ledger if row["reply"] is message]
        ended = [row for row in named if not row["open"]]
        if not named:
            # The ledger of the first schemas named no reply.
            own = [message[name] or 0 for name in TOKENS]
            ended = [
                row
                for row in self.ledger
                if row["reply_id"] is None
                and row["conversation_id"] == message["conversation_id"]
                and [row[name] for name in TOKENS] == own
            ][:1]
        return tuple(sum(row[name] for row in ended) for name in TOKENS[:3])

    def own_numbers(self, message):
        """The same as the message itself says it, since the two never differ."""
        rows = [row for row in self.ledger if row["reply"] is message and not row["open"]]
        if not all(row["settled"] for row in rows):
            # The next start would have settled them, and have counted them for the message.
            return self.numbers(message)
        return tuple(message[name] or 0 for name in TOKENS[:3])

    def versions(self, key):
        """For each place of the branch with several versions: which one of how many."""
        found = []
        for message in self.branch(key):
            places = [
                other["id"]
                for other in self.messages.values()
                if other["conversation_id"] == key and other["parent_id"] == message["parent_id"]
            ]
            if len(places) > 1:
                found.append((message["id"], places.index(message["id"]) + 1, len(places)))
        return found

    def of_user(self, user):
        keys = {key for key, talk in self.talks.items() if talk["user_id"] == user}
        return [one for one in self.messages.values() if one["conversation_id"] in keys]

    def refs(self, user):
        return sorted(
            ref for one in self.of_user(user) for ref in (one.get("ref") or "").split()
        )  # fmt: skip

    def errors(self):
        return Counter(
            (
                one["finished_at"] or one["created_at"],
                one["error"],
                one.get("request_id", ""),
                self.users[self.talks[one["conversation_id"]]["user_id"]]["name"],
            )
            for one in self.messages.values()
            if one["state"] in ENDED_EARLY and one["error"]
        )

    def used(self, user):
        """The ledger as an export tells it, without what says nothing."""
        return Counter(
            (row["at"], row["model"], *numbers, row["saved_micro_yuan"], not row["open"])
            for row in self.ledger
            if row["user_id"] == user
            and any(numbers := [row[name] for name in (*TOKENS, "micro_yuan")])
        )


def tokens(row):
    return row["prompt_tokens"] + row["completion_tokens"]


def said(message):
    return tuple(
        message[name]
        for name in ("id", "parent_id", "role", "content", "thought", "state", "error", "notes")
    )


@pytest.fixture
def before(database_url, schema):
    """What a filled database of that schema says at noon; it is not upgraded yet."""
    old = open_old(database_url, schema)
    at = stored_instant(NOON)
    with old.connection_context(), old.atomic():
        fill(old, schema, at)
        return Before(old, schema, at)


@pytest.fixture
def opened(before, database_url):
    """The upgraded database, at noon."""
    storage = open_storage(database_url, clock=lambda: NOON)
    yield storage
    storage.close()


def test_all_that_was_stored_says_the_same(opened, before):
    """One upgrade for all questions: a database of its own for each would take long."""
    for look in (
        sums_of_people,
        sums_of_the_app,
        conversations_and_what_is_shown,
        what_the_model_is_told,
        owners_tables,
        what_people_can_take_along,
        what_is_to_be_deleted_at_ark,
        rows_and_what_they_refer_to,
    ):
        opened.write_now(look, before)


def sums_of_people(before):
    for user in (ANN, BOB):
        for since in (TODAY, MONTH, ALL):
            used = usage.of_person(user, since)
            assert used[:3] == before.person(user, stored_instant(since))
    assert usage.of_person(BOB, TODAY).limit == before.users[BOB].get("daily_tokens")
    # Of who registers again on the same network.
    eve = usage.of_person(EVE, TODAY)
    there = 0 if before.number < 5 else before.deleted_on("net-1", stored_instant(TODAY))
    assert (eve.tokens, there > 0) == (there, before.number >= 5)


def sums_of_the_app(before):
    spent = usage.of_app(TODAY, MONTH)
    assert spent == tuple(before.app(stored_instant(one)) for one in (TODAY, MONTH))
    starts = [ALL, MONTH, TODAY - timedelta(days=1), TODAY]
    days = reports.days(starts)
    shown = [(d.prompt, d.cached, d.completion, d.micro_yuan, d.saved_micro_yuan) for d in days]
    assert shown == before.days(list(map(stored_instant, starts)))


def conversations_and_what_is_shown(before):
    for key, talk in before.talks.items():
        found = conversations.totalled(talk["user_id"], key)
        assert bool(found.turn_is_running) == before.runs(key)
        assert (found.prompt, found.cached, found.completion, found.micro_yuan) == (
            before.total(key)
        )
        rows = before.branch(key)
        shown = messages.shown_branch(found.head_id, 99)
        assert [(*one[:6], one.error, " ".join(one.notes)) for one in shown] == (
            list(map(said, rows))
        )
        numbers = [
            tuple(n or 0 for n in (one.prompt_tokens, one.cached_tokens, one.completion_tokens))
            for one in shown
        ]
        assert numbers == [before.numbers(row) for row in rows]
        if before.number >= 5:
            assert numbers == [before.own_numbers(row) for row in rows]
        assert [
            (one.message_id, one.number, one.count)
            for one in messages.versions(uuid.UUID(key), shown)
        ] == before.versions(key)


def what_the_model_is_told(before):
    for key, talk in before.talks.items():
        pairs = itertools.pairwise(before.branch(key))
        kept = [
            pair
            for pair in pairs
            if pair[1]["role"] == "assistant"
            and pair[1]["content"]
            and pair[1]["state"] not in ("failed", "filtered")
        ]
        told = messages.remembered(talk["head_id"], 99)
        assert [row.content for row in told] == [row["content"] for pair in kept for row in pair]


def owners_tables(before):
    people = reports.people(TODAY, MONTH)
    used = {
        user: [
            sum(map(tokens, before.ledger_of(user, TODAY))),
            sum(row["micro_yuan"] for row in before.ledger_of(user, MONTH)),
        ]
        for user in before.users
    }
    assert {one.id: [one.tokens_today, one.micro_yuan_month] for one in people} == used
    errors = Counter(
        (stored_instant(one.at), one.code, one.request_id, one.name) for one in reports.errors(99)
    )
    assert errors == before.errors()


def what_people_can_take_along(before):
    for user in (ANN, BOB):
        told = export.account(user)
        assert taken(told["usage"]) == before.used(user)
        stored = {one["id"]: one for talk in told["sessions"] for one in talk["messages"]}
        mine = before.of_user(user)
        assert {
            number: (one["content"], one["state"], one["error"]) for number, one in stored.items()
        } == {one["id"]: (one["content"], one["state"], one["error"]) for one in mine}
    assert taken(export.nobodys_usage()) == before.used(None)


def taken(rows):
    return Counter(
        (
            stored_instant(datetime.fromisoformat(row["at"])), row["model"], *numbers,
            row["saved_micro_yuan"], row["settled"],
        )
        for row in rows
        if any(numbers := [row[name] for name in (*TOKENS, "micro_yuan")])
    )  # fmt: skip


def what_is_to_be_deleted_at_ark(before):
    for user in (ANN, BOB):
        with database.atomic() as tried:
            assert sorted(erase.account(user)) == before.refs(user)
            tried.rollback()
    one = next(iter(before.talks))
    with database.atomic() as tried:
        here = [row for row in before.of_user(ANN) if row["conversation_id"] == one]
        refs = [ref for row in here for ref in (row.get("ref") or "").split()]
        assert sorted(erase.conversation(ANN, one)) == sorted(refs)
        tried.rollback()


def rows_and_what_they_refer_to(before):
    assert Message.select().count() == len(before.messages)
    assert Conversation.select().count() == len(before.talks)
    held = Turn.select().where(Turn.state == State.STREAMING, Turn.conversation.is_null(False))
    streaming = {row["id"] for row in before.messages.values() if row["state"] == "streaming"}
    assert {turn.reply_id for turn in held} == streaming
    asked = {row["id"] for row in before.messages.values() if row["stop_asked"]}
    assert {turn.reply_id for turn in Turn.select().where(Turn.stop_requested)} == asked
    waits = [row["id"] for row in before.messages.values() if row["first_token_ms"] is not None]
    waited = Turn.select(Turn.reply_id).where(Turn.first_token_ms.is_null(False))
    assert sorted(reply for (reply,) in waited.tuples()) == waits
    if database.param == "?":
        assert database.execute_sql("PRAGMA foreign_key_check").fetchall() == []
        assert database.execute_sql("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute_sql("PRAGMA foreign_keys").fetchall() == [(1,)]
