"""The signals that end a run in good order: files half written are removed, states are saved."""

from __future__ import annotations

import signal


def ending_signals() -> list[signal.Signals]:
    """Return what asks a process to end, Ctrl-C aside: a supervisor, or a terminal that closes.

    What is ignored stays ignored: `nohup` starts a run that outlives its terminal.
    """
    hangup = [signal.SIGHUP] if hasattr(signal, "SIGHUP") else []  # Windows has none
    signals = [signal.SIGTERM, *hangup]
    return [number for number in signals if signal.getsignal(number) is not signal.SIG_IGN]
