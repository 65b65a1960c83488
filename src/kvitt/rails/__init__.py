"""How money leaves: a folder for each rail, which the core does not know."""
