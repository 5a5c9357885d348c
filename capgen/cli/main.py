"""The entry point: runs the app and turns every exception into an exit code.

Exit codes: 0 success, 1 failure, 2 wrong usage, 3 trained but not uploaded, 130 interrupted,
141 the reader of --help closed the pipe, 143 terminated.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from itertools import islice, pairwise
from pathlib import Path
from types import FrameType

from capgen.cli.app import build_app
from capgen.cli.console import Console, OutputClosedError
from capgen.cli.logs import check_log_file
from capgen.ending_signals import ending_signals
from capgen.errors import CapgenError

logger = logging.getLogger(__name__)
INTERRUPTED = 130
UNREAD = 141
OBJECTS_BETWEEN_COLLECTIONS = 100_000
LOGGING_OPTIONS = ("--log-level", "--log-file", "--log-format")


def main(argv: Sequence[str] | None = None) -> int:
    """Run capgen with arguments, by default the process's own, and return the exit code."""
    console = Console()
    _quieten_libraries()
    previous = {number: signal.signal(number, _terminate) for number in ending_signals()}
    try:
        arguments = _with_home(sys.argv[1:]) if argv is None else argv
        logging_options, rest = _split_logging(arguments)
        _check_log_file(logging_options, rest)
        build_app()(args=[*logging_options, *rest], prog_name="capgen")
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):
            return UNREAD
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
        for number, handler in previous.items():
            signal.signal(number, handler)
    return 0


def run() -> None:
    # Imports make many objects and little garbage: looking for it took a tenth of the time.
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    code = main()
    gc.freeze()  # what is left ends with the process
    sys.exit(code)


def _with_home(arguments: Sequence[str]) -> list[str]:
    """Expand `~` in the process's arguments, which shells on Windows do not do.

    Typer would also expand patterns there: even those of `--include`, and `image[1].jpg`.
    """
    if sys.platform != "win32":
        return list(arguments)
    return [
        os.path.expanduser(item) if item.startswith(("~/", "~\\")) else item  # noqa: PTH111
        for item in arguments
    ]


def _split_logging(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the options of the log, wherever they are, and the other arguments."""
    first: list[str] = []
    rest: list[str] = []
    waiting = iter(arguments)
    for item in waiting:
        name, equals, _ = item.partition("=")
        value = [] if equals or name not in LOGGING_OPTIONS else list(islice(waiting, 1))
        if name in LOGGING_OPTIONS and (equals or value):
            first += [item, *value]
        else:
            rest.append(item)
        if item == "--":  # only names follow
            rest += waiting
    return first, rest


def _check_log_file(options: Sequence[str], rest: Sequence[str]) -> None:
    for item, following in pairwise([*options, ""]):
        name, equals, value = item.partition("=")
        if name == "--log-file":
            check_log_file(Path(value if equals else following), rest)


def _terminate(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + signum)


def _quieten_libraries() -> None:
    """Hide warnings of libraries: capgen's own messages say what matters."""
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
