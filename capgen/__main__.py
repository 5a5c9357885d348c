"""`capgen` and `python -m capgen`."""

from __future__ import annotations

import signal


def run() -> None:
    """Run the command line; Ctrl-C ends it without a traceback while it is being loaded, too."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:
        # An exception could come out of an import as any other, with its traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from capgen.cli import main

    signal.signal(signal.SIGINT, handler)
    main.run()


if __name__ == "__main__":
    run()
