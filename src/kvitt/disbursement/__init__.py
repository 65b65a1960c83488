"""Cases, decisions, payments and orders: what is asked for, derived, sent, settled and proved. It declares the ports of contracts and rails."""
