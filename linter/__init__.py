"""Finds every tie of Python ML code to CUDA, says what it does elsewhere, and rewrites what can be rewritten."""

from __future__ import annotations

__version__ = "0.1.0"
