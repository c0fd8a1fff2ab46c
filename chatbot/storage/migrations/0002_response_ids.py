"""Each reply knows the response it is stored as at Ark's side, so that it can be deleted there."""

from peewee import CharField


def up(migrator, db):
    migrator.migrate(migrator.add_column("message", "ref", CharField(max_length=200, null=True)))
