"""The advisor: what a move to other hardware takes, from everything that a check finds."""
