"""What users choose for a session, pictures and files, sources of an answer, and what models were
learned to refuse."""

from peewee import CharField, PostgresqlDatabase


def up(migrator, db):
    postgres = isinstance(db, PostgresqlDatabase)
    # By hand: for a column with a default Peewee has SQLite write the whole table anew.
    for table, column in ADDED:
        db.execute_sql(f'ALTER TABLE "{table}" ADD COLUMN {column}')
    words = {"uuid": "UUID", "bytes": "BYTEA"} if postgres else {"uuid": "TEXT", "bytes": "BLOB"}
    words["id"] = "BIGSERIAL NOT NULL PRIMARY KEY" if postgres else SQLITE_ID
    for statement in (ATTACHMENT, CAPABILITY, *INDEXES):
        db.execute_sql(statement.format(**words))
    # SQLite heeds no lengths.
    if postgres:
        migrator.migrate(
            migrator.alter_column_type("message", "notes", CharField(max_length=200)),
            migrator.alter_column_type("switch", "name", CharField(max_length=160)),
        )


SQLITE_ID = "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT"
ADDED = (
    ("user", "options TEXT NOT NULL DEFAULT ''"),
    ("conversation", "options TEXT NOT NULL DEFAULT ''"),
    ("message", "sources TEXT NOT NULL DEFAULT ''"),
    ("message", "thought_ms INTEGER"),
    ("turn", "searches INTEGER NOT NULL DEFAULT 0"),
)

ATTACHMENT = """
CREATE TABLE attachment (
    id {uuid} NOT NULL PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES "user" (id) ON DELETE CASCADE,
    conversation_id {uuid} NOT NULL REFERENCES conversation (id) ON DELETE CASCADE,
    message_id BIGINT REFERENCES message (id) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    kind VARCHAR(16) NOT NULL,
    name VARCHAR(200) NOT NULL,
    type VARCHAR(40) NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    pages INTEGER NOT NULL,
    size INTEGER NOT NULL,
    data {bytes} NOT NULL,
    created_at BIGINT NOT NULL
)
"""

CAPABILITY = """
CREATE TABLE capability (
    id {id},
    server VARCHAR(200) NOT NULL,
    model VARCHAR(120) NOT NULL,
    kind VARCHAR(16) NOT NULL,
    served BOOLEAN NOT NULL,
    refused VARCHAR(200) NOT NULL,
    most_output INTEGER,
    most_history INTEGER,
    learned_at BIGINT NOT NULL
)
"""

INDEXES = (
    "CREATE INDEX attachment_user_id ON attachment (user_id)",
    "CREATE INDEX attachment_conversation_id ON attachment (conversation_id)",
    "CREATE INDEX attachment_message_id ON attachment (message_id)",
    "CREATE UNIQUE INDEX capability_server_model_kind ON capability (server, model, kind)",
)
