"""How senders talk to kvitt: a folder for each contract, which the core does not know."""
