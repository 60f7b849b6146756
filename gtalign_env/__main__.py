"""``python -m gtalign_env`` is the program ``gtalign``."""

from __future__ import annotations

import sys

from gtalign_env.cli import main

if __name__ == "__main__":
    sys.exit(main())
