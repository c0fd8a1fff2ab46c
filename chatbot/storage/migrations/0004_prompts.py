"""Each conversation knows the prompt its memory was made with; a reply that was continued often
may be stored at Ark's side under more ids than 200 characters hold."""

from peewee import PostgresqlDatabase, TextField


def up(migrator, db):
    # By hand: for a column with a default Peewee has SQLite write the whole table anew.
    db.execute_sql(
        "ALTER TABLE conversation ADD COLUMN prompt_hash VARCHAR(16) NOT NULL DEFAULT ''"
    )
    # SQLite heeds no lengths.
    if isinstance(db, PostgresqlDatabase):
        migrator.migrate(migrator.alter_column_type("message", "ref", TextField(null=True)))
