"""The numbered migrations, a SQL file each, and what some of them leave to be filled in behind them."""
