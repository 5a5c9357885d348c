"""`capgen` and `python -m capgen`."""

from __future__ import annotations

import sys


def run() -> None:
    """Run the command line; Ctrl-C ends it without a traceback while it is being loaded, too."""
    try:
        from capgen.cli import main
    except KeyboardInterrupt:
        sys.exit(130)  # `main.INTERRUPTED`
    main.run()


if __name__ == "__main__":
    run()
