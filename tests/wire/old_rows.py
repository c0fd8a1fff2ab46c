"""Rows as the earlier versions of the app have written them, by SQL and for each schema.

Up to schema 2 the ledger got a row when Ark had told what a turn used, and it named no reply. Since
3 it gets one when a turn starts: what is set aside, until the turn has ended and it is settled. Up
to 4 a reply has the numbers that Ark told of its newest turn; since 5 those of its settled rows.
"""

import uuid
from dataclasses import dataclass

from playhouse import db_url
from playhouse.migrations import Runner

from chatbot.storage.database import MIGRATIONS

EARLIER = [path.stem for path in sorted(MIGRATIONS.glob("[0-9]*.py")) if path.stem < "0007"]
SECOND, HOUR, DAY = 1_000, 3_600_000, 86_400_000
TOKENS = ("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens")
NOTHING = (0, 0, 0, 0)
ANN, BOB, CID, EVE = 1, 2, 3, 4
MODEL = "ep-test"
TABLES = ("user", "login", "conversation", "message", "usage")


def open_old(url, schema):
    """A database of that schema; the caller connects and closes it."""
    old = db_url.connect(url)
    with old.connection_context():
        Runner(old, str(MIGRATIONS)).up(schema)
    return old


@dataclass
class Talk:
    """A conversation, and the end of its visible branch."""

    key: str
    user: int
    head: int | None = None


class OldRows:
    """Writes rows into a database of schema `number`, at the moment `at` (milliseconds)."""

    def __init__(self, old, number, at):
        self.old = old
        self.number = number
        self.at = at
        self._columns = {table: {c.name for c in old.get_columns(table)} for table in TABLES}
        self._last_message = 0

    def insert(self, table, **values):
        """A row, without the columns that this schema does not have."""
        known = {name: value for name, value in values.items() if name in self._columns[table]}
        places = ", ".join([self.old.param] * len(known))
        sql = f'INSERT INTO "{table}" ({", ".join(known)}) VALUES ({places})'
        self.old.execute_sql(sql, list(known.values()))

    def change(self, table, row_id, **values):
        known = {name: value for name, value in values.items() if name in self._columns[table]}
        changes = ", ".join(f"{name} = {self.old.param}" for name in known)
        sql = f'UPDATE "{table}" SET {changes} WHERE id = {self.old.param}'
        self.old.execute_sql(sql, [*known.values(), row_id])

    def user(self, user_id, name, **more):
        values = {"is_admin": False, "created_at": self.at - 90 * DAY, "network": "", **more}
        self.insert("user", id=user_id, name=name, name_key=name, password_hash="x", **values)
        self.insert(
            "login", user_id=user_id, token_hash=name, created_at=self.at, seen_at=self.at - HOUR,
            expires_at=self.at + DAY, agent="",
        )  # fmt: skip

    def talk(self, number, user, **more):
        key = uuid.UUID(int=number).hex
        values = {
            "title": f"talk {number}", "created_at": self.at - 60 * DAY, "updated_at": self.at,
            "model": MODEL, "memory_kind": "responses", "prompt_hash": "", **more,
        }  # fmt: skip
        self.insert("conversation", id=key, user_id=user, **values)
        return Talk(key, user)

    def message(self, talk, parent, role, content, **more):
        """A message that is the newest one; its id."""
        self._last_message += 1
        values = {
            "thought": "", "state": "complete", "error": "", "notes": "", "stop_asked": False,
            "created_at": self.at, "model": "", "request_id": "", **more,
        }  # fmt: skip
        self.insert(
            "message", id=self._last_message, conversation_id=talk.key, parent_id=parent,
            role=role, content=content, **values,
        )  # fmt: skip
        self.show(talk, self._last_message)
        return self._last_message

    def show(self, talk, message):
        """Make this message the end of the visible branch."""
        talk.head = message
        self.change("conversation", talk.key, head_id=message)

    def ask(self, talk, parent, question, answer, used=None, *, ago=HOUR, **more):
        """A question and its reply, which has ended; their ids."""
        asked = self.message(talk, parent, "user", question, created_at=self.at - ago)
        return asked, self.reply(talk, asked, answer, used, ago=ago, **more)

    def reply(self, talk, question, answer, used=None, *, ago=HOUR, told=True, **more):
        """A reply that has ended; without `told` Ark did not say what it used."""
        more = {"finished_at": self.at - ago + 1, "model": MODEL, "first_token_ms": 30, **more}
        made = self.message(
            talk, question, "assistant", answer, created_at=self.at - ago, **more
        )  # fmt: skip
        self._use(talk, made, used, ago, told)
        return made

    def go_on(self, talk, reply, answer, used, *, ago=HOUR, told=True, **more):
        """An ended reply was continued, and that has ended, too."""
        self.change("message", reply, content=answer, finished_at=self.at - ago + 1, **more)
        self._use(talk, reply, used, ago, told)

    def write(self, talk, question, most, *, answer="", until=None, ago=SECOND, **more):
        """A reply that is being written, with what is set aside for it; its id."""
        more = {"state": "streaming", **more}
        made = self.message(
            talk, question, "assistant", answer, created_at=self.at - ago, **more
        )  # fmt: skip
        self._start(talk, made, most, until, ago)
        return made

    def write_on(self, talk, reply, most, *, answer, until=None, ago=SECOND):
        """An ended reply is being continued."""
        self.change("message", reply, state="streaming", error="", content=answer)
        self._start(talk, reply, most, until, ago)

    def ledger(self, user, key, reply, used, *, ago=HOUR, settled=True, network=""):
        """A row of the ledger, as far as this schema has had such a row."""
        if self.number <= 2 and not (settled and any(used)):
            return
        prompt, cached, completion, _ = used
        self.insert(
            "usage", at=self.at - ago, user_id=user, conversation_id=key, model=MODEL,
            **dict(zip(TOKENS, used, strict=True)), reply_id=reply, settled=settled,
            micro_yuan=prompt + 3 * completion, saved_micro_yuan=cached, network=network,
        )  # fmt: skip

    def finish(self):
        """Have PostgreSQL go on after the ids that were given here."""
        if self.old.param == "%s":
            for table in ("user", "message"):
                self.old.execute_sql(
                    f"SELECT setval(pg_get_serial_sequence('\"{table}\"', 'id'), 1000)"
                )

    def _start(self, talk, reply, most, until, ago):
        self.ledger(talk.user, talk.key, reply, most, ago=ago, settled=False)
        owner = "12-abc" if until else None
        lease = {"turn_owner": owner, "turn_until": until and self.at + until}
        self.change("conversation", talk.key, updated_at=self.at - ago, **lease)

    def _use(self, talk, reply, used, ago, told):
        used = used or NOTHING
        if self.number <= 2:
            used = used if told else NOTHING
            numbers = used if any(used) else (None,) * 4
        else:
            numbers = used if told or self.number >= 5 else NOTHING
        self.ledger(talk.user, talk.key, reply, used, ago=ago)
        if self.number >= 5:
            sums = ", ".join(f"SUM({name})" for name in (*TOKENS, "micro_yuan"))
            [[*numbers, cost]] = self.old.execute_sql(
                f"SELECT {sums} FROM usage WHERE settled AND reply_id = {self.old.param}", [reply]
            ).fetchall()
        else:
            cost = used[0] + 3 * used[2]
        values = dict(zip(TOKENS, numbers, strict=True))
        self.change("message", reply, **values, micro_yuan=cost)


def fill(old, schema, at):
    """What people have done with the app up to the moment `at`. Needs a connection."""
    rows = OldRows(old, int(schema[:4]), at)
    rows.user(ANN, "ann")
    rows.user(BOB, "bob", daily_tokens=5_000)
    rows.user(EVE, "eve", created_at=at - HOUR // 2, network="net-1")
    branches(rows, rows.talk(1, ANN))
    continued(rows, rows.talk(2, ANN))
    dead(rows, rows.talk(3, ANN))
    dead_without_a_word(rows, rows.talk(4, ANN))
    rows.talk(5, ANN, title="", model="", memory_kind="")
    ended_with_reservations(rows, rows.talk(6, BOB))
    version_of_a_lost_lease(rows, rows.talk(7, BOB))
    of_two_ages(rows, rows.talk(8, BOB))
    deleted(rows)
    rows.finish()


def branches(rows, talk):
    """Versions, a failed reply, equal numbers, wide letters; the head is an edited question's."""
    same = (40, 10, 5, 1)
    _, first = rows.ask(talk, None, "ＡＢＣ hello １２", "🙂 ｆｕｌｌ", same, ago=DAY, ref="resp-1")
    rows.ask(
        talk, first, "nothing", "", state="failed", error="rate_limited:30", request_id="req-1"
    )
    asked, _ = rows.ask(
        talk, first, "count", "1 2", same, state="length", thought="想", notes="memory_rebuilt",
        ref="resp-2",
    )  # fmt: skip
    second = rows.reply(talk, asked, "1 2 3", same, ref="resp-3")
    rows.ask(talk, second, "bad", "gone", (9, 0, 1, 0), state="filtered", error="moderated")
    rows.ask(talk, first, "👋 count", "１", (70, 0, 20, 0), state="stopped", told=False)


def continued(rows, talk):
    """A reply of three turns, one with the numbers of its first; then a reply that grows."""
    _, long = rows.ask(
        talk, None, "long", "a", (30, 0, 7, 0), state="length", ago=40 * DAY, ref="resp-a"
    )
    rows.go_on(talk, long, "a b", (45, 5, 8, 2), ago=DAY, state="length")
    several = "resp-a resp-b resp-c" if rows.number >= 4 else "resp-c"
    rows.go_on(talk, long, "a b c", (60, 5, 9, 0), state="complete", ref=several)
    _, short = rows.ask(talk, long, "short", "a", (30, 0, 7, 0), ref="resp-d")
    asked = rows.message(talk, short, "user", "more")
    rows.write(
        talk, asked, (200, 0, 1000, 0), answer="half", until=8 * SECOND, stop_asked=True
    )  # fmt: skip


def dead(rows, talk):
    """A reply was being continued when the process died."""
    _, reply = rows.ask(
        talk, None, "on", "1", (50, 0, 11, 0), state="interrupted", error="orphaned", ago=DAY,
        ref="resp-e",
    )  # fmt: skip
    rows.write_on(talk, reply, (300, 0, 900, 0), answer="1 2", until=-SECOND)


def dead_without_a_word(rows, talk):
    _, first = rows.ask(talk, None, "hi", "hello", (12, 0, 3, 0), ago=HOUR, ref="resp-f")
    asked = rows.message(talk, first, "user", "and?")
    rows.write(talk, asked, (80, 0, 1000, 0))


def ended_with_reservations(rows, talk):
    """A process died, the reply was ended for it, and nobody has settled its row; twice, and the
    second one is being continued."""
    _, reply = rows.ask(talk, None, "bob asks", "so", (20, 0, 4, 0), ago=DAY)
    ended = {"state": "interrupted", "error": "process_died", "finished_at": rows.at - HOUR}
    for answer in ("1", "2"):
        asked = rows.message(talk, reply, "user", "on", created_at=rows.at - HOUR)
        reply = rows.write(talk, asked, (90, 0, 700, 0), answer=answer, ago=HOUR)
        rows.change("message", reply, **ended)
    rows.write_on(talk, reply, (95, 0, 750, 0), answer="2 3", until=5 * SECOND)


def version_of_a_lost_lease(rows, talk):
    """A process slept through its lease: since 3 its text is kept as another version."""
    asked = rows.message(talk, None, "user", "sleep", created_at=rows.at - 2 * HOUR)
    ended = {"finished_at": rows.at - HOUR, "model": MODEL}
    reply = rows.message(
        talk, asked, "assistant", "z", state="interrupted", error="process_died",
        created_at=rows.at - 2 * HOUR, **ended,
    )  # fmt: skip
    if rows.number < 3:
        return
    used = (33, 0, 6, 0)
    numbers = dict(zip(TOKENS, used, strict=True), micro_yuan=51)
    version = rows.message(
        talk, asked, "assistant", "z z", created_at=rows.at - HOUR, ref="resp-v", **ended, **numbers
    )
    rows.ledger(BOB, talk.key, version if rows.number >= 5 else reply, used, ago=2 * HOUR)


def of_two_ages(rows, talk):
    """Two replies whose rows in the ledger do not name them. One was continued later, in vain, with
    the numbers of the other."""
    first, second = (40, 0, 9, 0), (50, 0, 10, 0)
    asked = rows.message(talk, None, "user", "old", created_at=rows.at - 40 * DAY)
    replies = []
    for answer, used in (("a", first), ("b", second)):
        numbers = dict(zip(TOKENS, used, strict=True))
        reply = rows.message(
            talk, asked, "assistant", answer, model=MODEL, state="length", first_token_ms=20,
            created_at=rows.at - 40 * DAY, finished_at=rows.at - 40 * DAY, **numbers,
        )  # fmt: skip
        replies.append(reply)
        rows.ledger(BOB, talk.key, None, used, ago=40 * DAY)
    rows.show(talk, replies[0])
    error = {"error": "ark_unreachable", "request_id": "req-2"}
    rows.go_on(talk, replies[0], "a", NOTHING, state="interrupted", ago=2 * HOUR, **error)
    rows.go_on(talk, replies[0], "a a", second, state="interrupted", **error)


def deleted(rows):
    """The ledger's rows of what was deleted. The ids of replies 2 and 4 were given again."""
    gone = uuid.UUID(int=99).hex
    rows.ledger(ANN, gone, 2, (15, 0, 2, 0), ago=40 * DAY)
    rows.ledger(ANN, gone, 4, (15, 3, 2, 0), ago=DAY)
    rows.ledger(ANN, gone, 500, (16, 0, 2, 0))
    rows.ledger(ANN, gone, 501, (21, 0, 1000, 0), settled=False)
    rows.ledger(ANN, uuid.UUID(int=2).hex, 503, (22, 0, 1000, 0), settled=False)
    rows.ledger(None, None, 2, (17, 4, 3, 0), network="net-1")
    rows.ledger(None, None, 4, (18, 0, 3, 0), ago=DAY, network="")
    rows.ledger(None, None, 502, (19, 0, 3, 0), network="net-2")
