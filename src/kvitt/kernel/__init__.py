"""What every part stands on, with no business in it: database, embedded PostgreSQL, migrations, group commit, clock, loops."""
