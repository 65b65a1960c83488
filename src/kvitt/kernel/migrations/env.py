"""Alembic's entry: runs on the connection that it is given, each migration with its mark in one transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], version_table="migrations", transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
