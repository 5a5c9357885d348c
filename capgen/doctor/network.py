"""The Hub and Weights & Biases: whether they answer, and who is logged in. No token is shown.

Being offline is not a fault. A refused token is.
"""

from __future__ import annotations

import netrc
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from capgen.errors import CapgenError
from capgen.hub.login import whoami
from capgen.hub_client.session import LOGIN_HINT, Patience, find_token, is_address, reachable
from capgen.records import Check

Ask = Callable[[], Iterator[Check]]
_Answers = queue.SimpleQueue[tuple[str, list[Check] | BaseException]]
LONGEST = 8.0  # seconds for all checks
_PATIENCE = Patience(failing=4.0, silent=4.0)
_WANDB = "https://api.wandb.ai"
_WANDB_LOGIN = "`wandb login`, or set WANDB_API_KEY."
_OFFLINE = "The bundled model, and models fetched before, need no network."


def check_network(*, offline: bool = False) -> Iterator[Check]:
    """Yield checks of the Hub and of W&B, made in parallel; `offline` makes neither."""
    if offline:
        yield Check("network", None, "not checked (--offline)")
        return
    checks_of = {"Hub": check_hub, "W&B": check_wandb}
    answers: _Answers = queue.SimpleQueue()
    for name, ask in checks_of.items():
        # A name server that does not answer has no time limit: that thread is left behind.
        threading.Thread(target=_put, args=(answers, name, ask), daemon=True).start()
    results: dict[str, list[Check]] = {}
    end = time.monotonic() + LONGEST
    while len(results) < len(checks_of) and (left := end - time.monotonic()) > 0:
        try:
            name, checks = answers.get(timeout=left)
        except queue.Empty:
            break
        if isinstance(checks, BaseException):
            raise checks  # a bug, with the traceback of its thread
        results[name] = checks
    for name in checks_of:
        yield from results.get(name, [Check(name, None, f"no answer within {LONGEST:.0f} seconds")])


def _put(answers: _Answers, name: str, ask: Ask) -> None:
    try:
        answers.put((name, list(ask())))
    except CapgenError as error:
        answers.put((name, [Check(name, False, error.message, error.hint)]))
    except BaseException as error:
        answers.put((name, error))


def check_hub() -> Iterator[Check]:
    """Yield whether the Hub answers, and whether it accepts the token."""
    from huggingface_hub import constants

    token = find_token()
    if constants.HF_HUB_OFFLINE:
        yield Check("Hub", None, "not checked: HF_HUB_OFFLINE is set")
    elif not reachable(constants.ENDPOINT):
        yield Check("Hub", None, f"{constants.ENDPOINT} cannot be reached", _OFFLINE)
    else:
        yield Check("Hub", True, f"{constants.ENDPOINT} answers")
        if token is not None:
            yield _hub_login(token)
            return
    if token is None:
        yield Check("Hub login", None, "not logged in", LOGIN_HINT)
    else:
        yield Check("Hub login", None, "a token is set; it was not tried")


def _hub_login(token: str) -> Check:
    try:
        return Check("Hub login", True, f"logged in as {whoami(token, _PATIENCE)}")
    except CapgenError as error:
        return Check("Hub login", False, error.message, error.hint)


def check_wandb() -> Iterator[Check]:
    """Yield whether W&B answers, and whether a key is set for it."""
    address = os.environ.get("WANDB_BASE_URL") or _WANDB
    mode = os.environ.get("WANDB_MODE", "online")
    if not is_address(address):
        yield Check("W&B", False, f"WANDB_BASE_URL is '{address}'", f"It must look like {_WANDB}.")
        return
    if mode != "online":
        yield Check("W&B", None, f"not checked: WANDB_MODE is '{mode}'")
    elif reachable(address):
        yield Check("W&B", True, f"{address} answers; `capgen doctor wandb` sends a run")
    else:
        yield Check("W&B", None, f"{address} cannot be reached: runs are recorded offline")
    source = _wandb_key(urlsplit(address).hostname or "")
    if source:
        yield Check("W&B login", None, f"a key is set ({source}); it was not tried")
    else:
        yield Check("W&B login", None, "not logged in: runs are recorded offline", _WANDB_LOGIN)


def _wandb_key(host: str) -> str:
    """Return where a key for W&B is stored, or an empty string."""
    if os.environ.get("WANDB_API_KEY"):
        return "WANDB_API_KEY"
    places = [os.environ.get("NETRC"), "~/.netrc", "~/_netrc"]
    for place in places:
        path = Path(place).expanduser() if place else None
        if path is None or not path.is_file():
            continue
        try:
            if netrc.netrc(path).authenticators(host):
                return str(path)
        except (netrc.NetrcParseError, OSError, ValueError):
            continue  # other programs use this file too, so it may be in any state
    return ""
