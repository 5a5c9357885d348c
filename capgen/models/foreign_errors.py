"""What code of transformers raises for files that do not fit together, as errors that say so."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from concurrent.futures import CancelledError

from capgen.errors import CapgenError, ModelError
from capgen.models.out_of_memory import is_out_of_memory

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def model_errors(name: str, what: str) -> Iterator[None]:
    """Turn whatever a model raises into ModelError, and log its traceback.

    A model's files decide what its code does: settings that are missing or do not fit its weights
    raise TypeError, AssertionError, RuntimeError and more, deep inside other libraries. Running out
    of memory says nothing about the files: it is left to the caller. So is the end of a run.

    Args:
        name: The model, for the message.
        what: What it cannot do, as in "its processor cannot prepare an image".
    """
    try:
        yield
    except (CapgenError, MemoryError, CancelledError):
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        logger.debug("%s: %s", name, what, exc_info=True)
        raise ModelError(
            f"{name}: {what} ({first_line(error)})",
            hint="Its files may not fit together: save model and processor again, side by side.",
        ) from error


def first_line(error: Exception) -> str:
    """Return the kind of an error, and the first line of what it says."""
    said = " ".join(str(error).strip().split("\n")[:1])
    kind = type(error).__name__
    if said and kind.startswith("_"):  # a name that says nothing to users
        return said
    return f"{kind}: {said}" if said else kind
