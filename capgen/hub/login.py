"""The Hub's access token: whether there is one, and who it belongs to. It is never printed."""

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
    """Return the token, as `find_token`.

    Raises:
        UsageError: There is none.
    """
    token = find_token(given)
    if token is None:
        raise UsageError("The Hub asks for a token, and there is none", hint=LOGIN_HINT)
    return token


def whoami(token: str, patience: Patience | None = None) -> str:
    """Return the name of the user a token belongs to.

    Args:
        token: The token.
        patience: How long the Hub may fail.

    Raises:
        NetworkError: The Hub cannot be reached, or does not know the token.
    """
    from huggingface_hub import HfApi

    check_reachable()
    with hub_errors("whoami"), patient(patience) as waiting:
        return str(waiting.repeat(lambda: HfApi().whoami(token=token))["name"])


def save_login(token: str) -> str:
    """Save a token where Hugging Face's programs look for it; return the user's name.

    Raises:
        NetworkError: The Hub cannot be reached, or does not know the token.
        UsageError: It is no user's token.
    """
    from huggingface_hub import login

    name = whoami(token)
    with hub_errors("login"), patient():
        try:
            login(token=token, add_to_git_credential=False)
        except ValueError as error:
            raise UsageError("That is not the token of a user", hint="Use a user token.") from error
    return name


def check_reachable() -> None:
    """Check that the Hub answers.

    Raises:
        NetworkError: It does not, or HF_HUB_OFFLINE is set.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise NetworkError("HF_HUB_OFFLINE is set", hint="Unset it to use the Hub.")
    if not reachable(constants.ENDPOINT):
        raise NetworkError(
            f"Cannot reach {constants.ENDPOINT}", hint="Check the network, and try again."
        )
