"""Cases, decisions, payments and orders: asked for, derived, sent, settled, proved. Declares the ports Contract and Rail."""
