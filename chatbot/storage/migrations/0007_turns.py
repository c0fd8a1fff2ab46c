"""Adds the table `turn`: one row per turn holds its lock, its usage and its outcome.

A turn is made from the row in `usage` (the ledger), the outcome columns of the reply, and the lease
of the conversation. A continued reply had a second usage row; it gets a second turn. From now on
SQLite never reuses an id. This is a frozen copy: later changes of the tables do not change it.

All sums stay those of the ledger. Some rows change:

- Up to 0004 a reply had the numbers that Ark reported for its newest turn. Now it has those of all
  its turns in the ledger, estimated where Ark reported none.
- Up to 0002 the ledger named no reply. Usage from before a reply was continued counts for its
  conversation only, because the reply is unknown.
- A reply without a ledger row has used nothing; its numbers, if any, count with another reply.
- What was reserved for a reply that has ended counts as used, as at the next start before.
- Turns of deleted conversations name neither conversation nor reply: on SQLite the id of a deleted
  reply may have been reused.
- The time to the first token of a continued reply counts once, not once per turn.
"""

from peewee import SqliteDatabase

NUMBERS = ("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens")
WIDE = "[Ａ-Ｚａ-ｚ０-９]"


def up(migrator, db):
    sqlite = isinstance(db, SqliteDatabase)
    if sqlite and db.execute_sql("PRAGMA foreign_keys").fetchone()[0]:
        # Dropping a table would delete the rows that refer to it.
        raise RuntimeError("this migration needs foreign_keys to be off")
    words = SQLITE if sqlite else POSTGRES
    if not sqlite:
        # Concurrent writes would be lost. SQLite has only one writer at a time.
        db.execute_sql("LOCK TABLE conversation, message, usage IN ACCESS EXCLUSIVE MODE")
    for statement in (TURN, *PAIRED, LEDGER, *INDEXES, WITHOUT_LEDGER):
        db.execute_sql(statement.format(**words))
    for table in ("paired", "unnamed", "usage"):
        db.execute_sql(f"DROP TABLE {table}")
    if sqlite:
        for table in ("user", "login", "invitation", "attempt"):
            give_no_id_twice(db, table)
        write_anew(db, "conversation", CONVERSATION)
        write_anew(db, "message", MESSAGE)
    else:
        db.execute_sql("DROP INDEX message_wide")
        drop(db, "message", MOVED)
        drop(db, "conversation", LEASE)
    wide = f"content GLOB '*{WIDE}*'" if sqlite else f"content ~ '{WIDE}'"
    db.execute_sql(f"CREATE INDEX message_wide ON message (conversation_id) WHERE {wide}")


def drop(db, table, columns):
    dropped = ", ".join(f"DROP COLUMN {column}" for column in columns)
    db.execute_sql(f"ALTER TABLE {table} {dropped}")


def give_no_id_twice(db, table):
    """Add AUTOINCREMENT: without it SQLite reuses the ids of deleted rows."""
    [[made]] = db.execute_sql(
        "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)
    ).fetchall()
    write_anew(db, table, made.replace("PRIMARY KEY", "PRIMARY KEY AUTOINCREMENT", 1))


def write_anew(db, table, made):
    """Replace a SQLite table by a new form, with the rows and indexes of the remaining columns."""
    indexes = db.execute_sql(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql <> ''",
        (table,),
    ).fetchall()
    db.execute_sql(made.replace(f'"{table}"', f'"new_{table}"', 1))
    columns = ", ".join(f'"{column.name}"' for column in db.get_columns(f"new_{table}"))
    db.execute_sql(f'INSERT INTO "new_{table}" ({columns}) SELECT {columns} FROM "{table}"')
    db.execute_sql(f'DROP TABLE "{table}"')
    # References use the table's name, which stays the same.
    db.execute_sql(f'ALTER TABLE "new_{table}" RENAME TO "{table}"')
    for name, index in indexes:
        if name not in GONE:
            db.execute_sql(index)


MOVED = (
    "state", "error", "stop_asked", "finished_at", "model", "ref", "micro_yuan", "first_token_ms",
    "request_id", *NUMBERS,
)  # fmt: skip

LEASE = ("turn_owner", "turn_until")
GONE = ("message_state", "message_wide")
"""Indexes of removed columns, and one that is created again."""

SQLITE = {
    "uuid": "lower(hex(randomblob(16)))",
    "uuid_type": "TEXT",
    "no": "0",
}
POSTGRES = {
    "uuid": "gen_random_uuid()",
    "uuid_type": "UUID",
    "no": "FALSE",
}

TURN = """
CREATE TABLE turn (
    id {uuid_type} NOT NULL PRIMARY KEY,
    user_id INTEGER REFERENCES "user" (id) ON DELETE SET NULL,
    conversation_id {uuid_type} REFERENCES conversation (id) ON DELETE SET NULL,
    question_id BIGINT,
    reply_id BIGINT,
    model VARCHAR(120) NOT NULL,
    memory_kind VARCHAR(16) NOT NULL,
    prompt_hash VARCHAR(16) NOT NULL,
    state VARCHAR(16) NOT NULL,
    stop_requested BOOLEAN NOT NULL,
    worker VARCHAR(120) NOT NULL,
    lease_until BIGINT,
    followed_until BIGINT,
    prompt_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    micro_yuan INTEGER NOT NULL,
    saved_micro_yuan INTEGER NOT NULL,
    first_token_ms INTEGER,
    error VARCHAR(40) NOT NULL,
    request_id VARCHAR(80) NOT NULL,
    refs TEXT NOT NULL,
    network VARCHAR(64) NOT NULL,
    started_at BIGINT NOT NULL,
    finished_at BIGINT
)
"""

INDEXES = (
    "CREATE INDEX turn_conversation_id ON turn (conversation_id)",
    "CREATE INDEX turn_reply_id ON turn (reply_id)",
    "CREATE INDEX turn_user_id_started_at ON turn (user_id, started_at)",
    "CREATE INDEX turn_started_at_micro_yuan ON turn (started_at, micro_yuan)",
    "CREATE UNIQUE INDEX turn_running ON turn (conversation_id) WHERE state = 'streaming'",
    "CREATE INDEX turn_running_of_user ON turn (user_id) WHERE state = 'streaming'",
    "CREATE INDEX turn_error ON turn (started_at) WHERE error <> ''",
)

# The first two schemas had rows in the ledger that named no reply. Of a conversation, the n-th row
# with these numbers belongs to the n-th reply with these numbers.
PAIRED = (
    """
CREATE TEMPORARY TABLE unnamed AS
SELECT id, conversation_id, prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens,
    ROW_NUMBER() OVER (
        PARTITION BY conversation_id, prompt_tokens, cached_tokens, completion_tokens,
            reasoning_tokens ORDER BY id
    ) AS place
FROM usage WHERE reply_id IS NULL AND conversation_id IS NOT NULL
""",
    # Without it SQLite compares each row with each reply.
    "CREATE INDEX unnamed_place ON unnamed (conversation_id, place)",
    """
CREATE TEMPORARY TABLE paired AS
SELECT ledger.id AS usage_id, reply.id AS reply_id
FROM unnamed AS ledger
JOIN (
    SELECT id, conversation_id, prompt_tokens, COALESCE(cached_tokens, 0) AS cached_tokens,
        completion_tokens, COALESCE(reasoning_tokens, 0) AS reasoning_tokens,
        ROW_NUMBER() OVER (
            PARTITION BY conversation_id, prompt_tokens, COALESCE(cached_tokens, 0),
                completion_tokens, COALESCE(reasoning_tokens, 0) ORDER BY id
        ) AS place
    FROM message
    WHERE prompt_tokens IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM usage WHERE usage.reply_id = message.id
            AND usage.conversation_id = message.conversation_id
    )
) AS reply
ON reply.conversation_id = ledger.conversation_id AND reply.place = ledger.place
    AND reply.prompt_tokens = ledger.prompt_tokens
    AND reply.cached_tokens = ledger.cached_tokens
    AND reply.completion_tokens = ledger.completion_tokens
    AND reply.reasoning_tokens = ledger.reasoning_tokens
""",
    "CREATE INDEX paired_usage_id ON paired (usage_id)",
)

# Each row of the ledger becomes a turn. The newest turn of a reply gets the reply's outcome; the
# earlier ones were interrupted and continued. An unsettled row is streaming if its reply is, or if
# it has no reply; the next start ends it.
LEDGER = """
INSERT INTO turn
SELECT {uuid}, person.id, talk.id, reply.parent_id, reply.id, ledger.model,
    COALESCE(talk.memory_kind, ''), '',
    CASE
        WHEN streams THEN 'streaming'
        WHEN reply.id IS NULL THEN 'complete'
        WHEN newest > 1 OR reply.state = 'streaming' THEN 'interrupted'
        ELSE reply.state
    END,
    CASE WHEN streams AND reply.id IS NOT NULL THEN reply.stop_asked ELSE {no} END,
    CASE WHEN streams THEN COALESCE(talk.turn_owner, '') ELSE '' END,
    CASE WHEN streams THEN talk.turn_until END,
    NULL,
    ledger.prompt_tokens, ledger.cached_tokens, ledger.completion_tokens,
    ledger.reasoning_tokens, ledger.micro_yuan, ledger.saved_micro_yuan,
    CASE WHEN newest = 1 THEN reply.first_token_ms END,
    CASE WHEN newest = 1 AND reply.id IS NOT NULL THEN reply.error ELSE '' END,
    CASE WHEN newest = 1 AND reply.id IS NOT NULL THEN reply.request_id ELSE '' END,
    CASE WHEN newest = 1 THEN COALESCE(reply.ref, '') ELSE '' END,
    ledger.network, ledger.at,
    CASE WHEN streams THEN NULL WHEN newest = 1 THEN COALESCE(reply.finished_at, ledger.at)
        ELSE ledger.at END
FROM (
    SELECT linked.*,
        ROW_NUMBER() OVER (PARTITION BY found_id, linked_to ORDER BY id DESC) AS newest,
        NOT settled AND (
            found_id IS NULL OR (
                found_state = 'streaming' AND ROW_NUMBER() OVER (
                    PARTITION BY conversation_id, NOT settled AND found_state = 'streaming'
                    ORDER BY id DESC
                ) = 1
            )
        ) AS streams
    FROM (
        SELECT usage.*, COALESCE(usage.reply_id, paired.reply_id) AS linked_to,
            found.id AS found_id, found.state AS found_state
        FROM usage
        LEFT JOIN paired ON paired.usage_id = usage.id
        LEFT JOIN message AS found
            ON found.id = COALESCE(usage.reply_id, paired.reply_id)
            AND found.conversation_id = usage.conversation_id
    ) AS linked
) AS ledger
LEFT JOIN message AS reply ON reply.id = ledger.found_id
LEFT JOIN conversation AS talk
    ON talk.id = ledger.conversation_id AND NOT (streams AND reply.id IS NULL)
LEFT JOIN "user" AS person ON person.id = ledger.user_id
"""

# Replies without a ledger row. In the first two schemas: no text came, or the process died. Later:
# a process had lost its lease and kept its text as another version. Their usage is counted
# elsewhere or unknown. A reply that is still streaming keeps its conversation locked.
WITHOUT_LEDGER = """
INSERT INTO turn
SELECT {uuid}, talk.user_id, talk.id, reply.parent_id, reply.id, reply.model, talk.memory_kind, '',
    CASE
        WHEN streams THEN 'streaming'
        WHEN reply.state <> 'streaming' THEN reply.state
        WHEN reply.content = '' THEN 'failed' ELSE 'interrupted'
    END,
    CASE WHEN streams THEN reply.stop_asked ELSE {no} END,
    CASE WHEN streams THEN COALESCE(talk.turn_owner, '') ELSE '' END,
    CASE WHEN streams THEN talk.turn_until END,
    NULL, 0, 0, 0, 0, 0, 0, CASE WHEN NOT known THEN reply.first_token_ms END,
    CASE WHEN reply.state = 'streaming' AND NOT streams THEN 'process_died' ELSE reply.error END,
    reply.request_id, CASE WHEN known THEN '' ELSE COALESCE(reply.ref, '') END, '',
    -- After the turn that is continued.
    CASE WHEN streams THEN talk.updated_at ELSE reply.created_at END,
    CASE WHEN NOT streams THEN COALESCE(reply.finished_at, reply.created_at) END
FROM (
    SELECT message.*, state = 'streaming' AND NOT EXISTS (
        SELECT 1 FROM message AS later WHERE later.state = 'streaming'
            AND later.conversation_id = message.conversation_id AND later.id > message.id
    ) AND NOT EXISTS (
        SELECT 1 FROM turn WHERE turn.state = 'streaming'
            AND turn.conversation_id = message.conversation_id
    ) AS streams,
    EXISTS (SELECT 1 FROM turn WHERE turn.reply_id = message.id) AS known
    FROM message WHERE role = 'assistant'
) AS reply JOIN conversation AS talk ON talk.id = reply.conversation_id
WHERE streams OR NOT known
"""

CONVERSATION = """
CREATE TABLE "conversation" (
    "id" TEXT NOT NULL PRIMARY KEY, "user_id" INTEGER NOT NULL, "title" VARCHAR(120) NOT NULL,
    "created_at" INTEGER NOT NULL, "updated_at" INTEGER NOT NULL, "head_id" INTEGER,
    "model" VARCHAR(120) NOT NULL, "memory_kind" VARCHAR(16) NOT NULL, "memory_ref" VARCHAR(200),
    "memory_expires_at" INTEGER, "memory_upto" INTEGER, "memory_tokens" INTEGER,
    "prompt_hash" VARCHAR(16) NOT NULL DEFAULT '',
    FOREIGN KEY ("user_id") REFERENCES "user" ("id") ON DELETE CASCADE
)
"""

MESSAGE = """
CREATE TABLE "message" (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "conversation_id" TEXT NOT NULL,
    "parent_id" INTEGER, "role" VARCHAR(16) NOT NULL, "content" TEXT NOT NULL,
    "thought" TEXT NOT NULL, "notes" VARCHAR(80) NOT NULL, "created_at" INTEGER NOT NULL,
    FOREIGN KEY ("conversation_id") REFERENCES "conversation" ("id") ON DELETE CASCADE,
    FOREIGN KEY ("parent_id") REFERENCES "message" ("id") ON DELETE CASCADE
)
"""
