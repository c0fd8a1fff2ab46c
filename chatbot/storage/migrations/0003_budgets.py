"""What turns cost, what may be spent, and what an owner can look up and switch."""

from peewee import (
    BigIntegerField,
    BooleanField,
    CharField,
    IntegerField,
    Model,
)


def up(migrator, db):
    class Switch(Model):
        name = CharField(max_length=40, primary_key=True)
        on = BooleanField()

        class Meta:
            database = db
            legacy_table_names = False

    db.create_tables([Switch], safe=False)
    add = migrator.add_column
    migrator.migrate(
        add("message", "micro_yuan", IntegerField(null=True)),
        add("message", "request_id", CharField(max_length=80, default="")),
        add("usage", "reply_id", BigIntegerField(null=True)),
        add("usage", "micro_yuan", IntegerField(default=0)),
        add("usage", "saved_micro_yuan", IntegerField(default=0)),
        add("usage", "settled", BooleanField(default=True)),
        add("user", "daily_tokens", IntegerField(null=True)),
        add("invitation", "daily_tokens", IntegerField(null=True)),
        add("invitation", "revoked_at", BigIntegerField(null=True)),
        add("login", "agent", CharField(max_length=200, default="")),
        migrator.add_index("usage", ("reply_id",), False),
    )
