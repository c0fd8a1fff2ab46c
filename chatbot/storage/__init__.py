"""What is kept: users, logins, conversations, messages, usage (Peewee)."""
