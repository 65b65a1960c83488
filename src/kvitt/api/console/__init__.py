"""The operators' console: pages made on the server, for people who are logged in (design §17)."""
