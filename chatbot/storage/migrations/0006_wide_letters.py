"""A search finds full-width letters and digits by an index of the few messages that have some.

Not of a reply that still grows: it would be read as a whole at each save.
"""

from peewee import SqliteDatabase


def up(migrator, db):
    has = (
        "content GLOB '*[Ａ-Ｚａ-ｚ０-９]*'"
        if isinstance(db, SqliteDatabase)
        else "content ~ '[Ａ-Ｚａ-ｚ０-９]'"
    )
    db.execute_sql(
        "CREATE INDEX message_wide ON message (conversation_id) "
        f"WHERE state <> 'streaming' AND {has}"
    )
