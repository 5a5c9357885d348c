"""Asks before images leave for a server on the internet."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace

import typer

from capgen.cli.console import is_terminal
from capgen.config import ModelOptions
from capgen.errors import UsageError


def confirm_sending(options: ModelOptions, models: Iterable[str | None] = ()) -> None:
    """Ask whether images may be sent, unless they stay on this machine or its private network.

    Args:
        options: The model, and whether not to ask (`--yes`).
        models: Further models, for commands that take several.

    Raises:
        UsageError: There is nobody to ask.
        NetworkError: A server's host has no address.
        typer.Abort: The answer is no.
    """
    asked = [options, *(replace(options, endpoint=None, model=name) for name in models)]
    served = [each for each in asked if each.served]
    if not served or options.yes:
        return

    from capgen.captioning.endpoint.served_model import address_of

    addresses = {address.shown: address for address in map(address_of, served)}
    for address in addresses.values():
        place = address.public()
        if not place:
            continue
        where = f"{address.shown} ({place})"
        if not is_terminal(sys.stdin):
            raise UsageError(
                f"Images would be sent to {where}, which is outside your network",
                hint="Add --yes if they may be; --dry-run counts them.",
            )
        question = f"Send images to {where}, which is outside your network?"
        typer.confirm(question, abort=True, err=True)
