"""`python -m uncuda`."""

from __future__ import annotations

import sys

from uncuda.cli import main

if __name__ == "__main__":
    sys.exit(main())
