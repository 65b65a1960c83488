"""People: who they are by their tokens, what their groups let them do, and what they may approve; the same for pages, commands and REST."""
