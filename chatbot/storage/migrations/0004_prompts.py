"""Each conversation knows the prompt its memory was made with; a reply that was continued often
may be stored at Ark's side under more ids than 200 characters hold."""

from peewee import CharField, PostgresqlDatabase, TextField


def up(migrator, db):
    migrator.migrate(
        migrator.add_column("conversation", "prompt_hash", CharField(max_length=16, default=""))
    )
    # SQLite heeds no lengths, and would have to write the whole table anew.
    if isinstance(db, PostgresqlDatabase):
        migrator.migrate(migrator.alter_column_type("message", "ref", TextField(null=True)))
