"""What a memory holds is known in tokens; who deletes an account gets no fresh quota with the next
one; reservations that are not settled are found without reading the ledger."""


def up(migrator, db):
    # By hand: for a column with a default Peewee has SQLite write the whole table anew.
    for change in (
        "ALTER TABLE conversation ADD COLUMN memory_tokens INTEGER",
        "ALTER TABLE usage ADD COLUMN network VARCHAR(64) NOT NULL DEFAULT ''",
        "ALTER TABLE \"user\" ADD COLUMN network VARCHAR(64) NOT NULL DEFAULT ''",
        "CREATE TABLE secret (name VARCHAR(40) NOT NULL PRIMARY KEY, value VARCHAR(64) NOT NULL)",
        "CREATE INDEX usage_reserved ON usage (id) WHERE NOT settled",
    ):
        db.execute_sql(change)
