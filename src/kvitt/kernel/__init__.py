"""The ground that every part stands on, with no business in it: database, embedded PostgreSQL, migrations, group commit, clock, loops."""
