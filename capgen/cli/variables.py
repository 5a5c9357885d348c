"""The environment variables of the settings, in messages to the user."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from typing import Any

from capgen.config import KEY_VARIABLE, SERVE_TOKEN_VARIABLE, flag_name, setting_variables
from capgen.config.caches import LIMIT_VARIABLE
from capgen.errors import UsageError
from capgen.paths import HOME_VARIABLE

_PREFIX = "CAPGEN_"
# How similar a name must be to a known one to be taken for a misspelling of it, up to 1.
_ALIKE = 0.85


def misspelt_variables() -> Iterator[str]:
    """Yield a warning for each variable whose name nearly is that of a setting."""
    names = [name for name in os.environ if name.startswith(_PREFIX)]
    unknown = [name for name in names if name not in (HOME_VARIABLE, LIMIT_VARIABLE)]
    if not unknown:
        return
    # Here, because few users set variables.
    from capgen.data.download.mirrors import MIRROR_VARIABLE

    own = {HOME_VARIABLE, LIMIT_VARIABLE, MIRROR_VARIABLE, KEY_VARIABLE, SERVE_TOKEN_VARIABLE}
    known = own | setting_variables()
    for name in sorted(set(unknown) - known):
        for close in difflib.get_close_matches(name, known, n=1, cutoff=_ALIKE):
            yield f"{name} in the environment is not a setting; did you mean {close}?"


def with_variable(error: UsageError, parameters: list[Any], context: Any) -> UsageError:
    """Return an error about an option, naming the variable that its value came from, if any."""
    for parameter in parameters:
        if error.message.startswith(f"{flag_name(parameter.name)} is "):
            variable = variable_of(parameter, context)
            if variable:
                message = f"{variable} in the environment: {error.message}"
                return UsageError(message, hint=error.hint)
    return error


def variable_of(parameter: Any, context: Any) -> str:
    """Return the variable that a parameter's value comes from; empty for any other source."""
    source = context.get_parameter_source(parameter.name)
    if source is None or source.name != "ENVIRONMENT":
        return ""
    return next((name for name in parameter.envvar if os.environ.get(name)), "")


def wrong_value(variable: str, fault: str) -> UsageError:
    """Return the error of a variable whose value is not of its option's type."""
    return UsageError(f"{variable} in the environment is {os.environ[variable]!r}: {fault}")
