"""PostgreSQL: migrations, named SQL and the embedded server; speaks rules' values and decides nothing."""
