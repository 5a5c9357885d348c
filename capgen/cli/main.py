"""The entry point: runs the app and turns every exception into an exit code, in one place.

Exit codes: 0 done, 1 failure, 2 usage, 3 trained but not uploaded, 130 interrupted, 143 terminated.
"""

from __future__ import annotations

import logging
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from types import FrameType

from capgen.cli.app import build_app
from capgen.cli.console import Console, OutputClosedError
from capgen.errors import CapgenError

logger = logging.getLogger(__name__)
INTERRUPTED = 130
TERMINATED = 143


def main(argv: Sequence[str] | None = None) -> int:
    """Run capgen with the given arguments (the process's own by default).

    Returns:
        The exit code.
    """
    console = Console()
    _quieten_libraries()
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        build_app()(args=None if argv is None else list(argv), prog_name="capgen")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except CapgenError as error:
        logger.debug("%s", error.message, exc_info=True)
        console.error(error.message, error.hint)
        return error.exit_code
    except KeyboardInterrupt:
        console.error("interrupted")
        return INTERRUPTED
    except OutputClosedError:
        return 0
    except Exception as error:
        logger.critical("a bug in capgen", exc_info=True)
        traceback.print_exc()
        console.error(f"{type(error).__name__}: this is a bug in capgen", "Please report it.")
        return 1
    finally:
        signal.signal(signal.SIGTERM, previous)
    return 0


def run() -> None:
    """Run capgen as the process's program."""
    sys.exit(main())


def _terminate(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(TERMINATED)


def _quieten_libraries() -> None:
    """Keep libraries' advice off the user's terminal: our own messages say what matters."""
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
