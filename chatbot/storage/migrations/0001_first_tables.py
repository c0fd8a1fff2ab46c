"""The tables of the first release. A frozen copy: the models move on, this file does not."""

from peewee import (
    AutoField,
    BigAutoField,
    BigIntegerField,
    BooleanField,
    CharField,
    ForeignKeyField,
    IntegerField,
    Model,
    TextField,
    UUIDField,
)


def up(migrator, db):
    class Table(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class User(Table):
        id = AutoField()
        name = CharField(max_length=64)
        name_key = CharField(max_length=128, unique=True)
        password_hash = CharField(max_length=80)
        is_admin = BooleanField()
        disabled_at = BigIntegerField(null=True)
        created_at = BigIntegerField()

    class Login(Table):
        id = AutoField()
        user = ForeignKeyField(User, on_delete="CASCADE")
        token_hash = CharField(max_length=64, unique=True)
        created_at = BigIntegerField()
        seen_at = BigIntegerField()
        expires_at = BigIntegerField(index=True)

    class Invitation(Table):
        id = AutoField()
        code_hash = CharField(max_length=64, unique=True)
        created_at = BigIntegerField()
        expires_at = BigIntegerField()
        uses_left = IntegerField()

    class Attempt(Table):
        id = BigAutoField()
        subject = CharField(max_length=200)
        at = BigIntegerField()

        class Meta:
            indexes = ((("subject", "at"), False),)

    class Conversation(Table):
        id = UUIDField(primary_key=True)
        user = ForeignKeyField(User, on_delete="CASCADE")
        title = CharField(max_length=120)
        created_at = BigIntegerField()
        updated_at = BigIntegerField()
        head_id = BigIntegerField(null=True)
        model = CharField(max_length=120)
        memory_kind = CharField(max_length=16)
        memory_ref = CharField(max_length=200, null=True)
        memory_expires_at = BigIntegerField(null=True)
        memory_upto = BigIntegerField(null=True)
        turn_owner = CharField(max_length=64, null=True)
        turn_until = BigIntegerField(null=True)

        class Meta:
            indexes = ((("user", "updated_at"), False),)

    class Message(Table):
        id = BigAutoField()
        conversation = ForeignKeyField(Conversation, on_delete="CASCADE")
        parent = ForeignKeyField("self", null=True, on_delete="CASCADE")
        role = CharField(max_length=16)
        content = TextField()
        thought = TextField()
        state = CharField(max_length=16)
        error = CharField(max_length=40)
        notes = CharField(max_length=80)
        stop_asked = BooleanField()
        created_at = BigIntegerField()
        finished_at = BigIntegerField(null=True)
        model = CharField(max_length=120)
        prompt_tokens = IntegerField(null=True)
        cached_tokens = IntegerField(null=True)
        completion_tokens = IntegerField(null=True)
        reasoning_tokens = IntegerField(null=True)
        first_token_ms = IntegerField(null=True)

        class Meta:
            indexes = ((("conversation", "id"), False), (("state",), False))

    class Usage(Table):
        id = BigAutoField()
        at = BigIntegerField()
        user_id = IntegerField(null=True)
        conversation_id = UUIDField(null=True)
        model = CharField(max_length=120)
        prompt_tokens = IntegerField()
        cached_tokens = IntegerField()
        completion_tokens = IntegerField()
        reasoning_tokens = IntegerField()

        class Meta:
            indexes = ((("user_id", "at"), False), (("at",), False))

    db.create_tables([User, Login, Invitation, Attempt, Conversation, Message, Usage], safe=False)
