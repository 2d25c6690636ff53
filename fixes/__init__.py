"""Edits, the device they write, and how they are applied. Nothing here knows a rule."""
