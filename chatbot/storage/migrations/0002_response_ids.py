"""Each reply knows the response it is stored as at Ark's side, so that it can be deleted there."""

from peewee import TextField


def up(migrator, db):
    migrator.migrate(migrator.add_column("message", "ref", TextField(null=True)))
