"""Log in to the Hub. The access token is never printed."""

from __future__ import annotations

from capgen.errors import NetworkError, UsageError
from capgen.hub_client.session import (
    LOGIN_HINT,
    Patience,
    find_token,
    hub_errors,
    patient,
    reachable,
)


def need_token(given: str | None = None) -> str:
    """Return the token that `find_token` finds, or raise UsageError if there is none."""
    token = find_token(given)
    if token is None:
        raise UsageError("The Hub requires a token, and you are not logged in", hint=LOGIN_HINT)
    return token


def whoami(token: str, patience: Patience | None = None) -> str:
    """Return the name of the user whose token this is."""
    from huggingface_hub import HfApi

    check_reachable()
    with hub_errors("whoami"), patient(patience) as waiting:
        return str(waiting.repeat(lambda: HfApi().whoami(token=token))["name"])


def save_login(token: str) -> str:
    """Save a token where Hugging Face's programs look for it, and return the user's name."""
    from huggingface_hub import login

    name = whoami(token)
    with hub_errors("login"), patient():
        try:
            login(token=token, add_to_git_credential=False)
        except ValueError as error:
            raise UsageError("This is not a user's token", hint="Use a user token.") from error
    return name


def check_reachable() -> None:
    """Raise NetworkError if the Hub does not answer, or HF_HUB_OFFLINE is set."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise NetworkError("HF_HUB_OFFLINE is set", hint="Unset it to use the Hub.")
    if not reachable(constants.ENDPOINT):
        raise NetworkError(
            f"Cannot reach {constants.ENDPOINT}", hint="Check the network, and try again."
        )
