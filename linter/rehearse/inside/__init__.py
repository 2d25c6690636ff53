"""What runs inside a rehearsed program: the simulated accelerator, and the notes of what the program asks for.

It is loaded by its path into the program's own Python, which may be older than uncuda's and has no uncuda: it
uses Python 3.8, the standard library, torch, and no name of uncuda's.
"""

from __future__ import annotations


def start() -> None:
    """Gets ready for the program; what needs torch waits until the program imports it."""
    from . import importing, journal

    importing.watch(journal.open_journal())
