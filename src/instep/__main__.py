"""``python -m instep`` is the command ``instep``."""

from __future__ import annotations

from .cli import main

if __name__ == "__main__":
    main()
