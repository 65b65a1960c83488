"""The contract of decisions over REST that form one chain per case, in the three generations of their senders (iverksetting §1)."""
