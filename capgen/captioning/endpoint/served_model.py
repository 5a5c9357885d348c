"""A model on a server: found, and identified by the server's address."""

from __future__ import annotations

from dataclasses import dataclass, replace

from capgen.captioning.endpoint.address import Address, read_address
from capgen.captioning.endpoint.client import Client
from capgen.captioning.endpoint.endpoint_runtime import EndpointRuntime
from capgen.config import ModelOptions
from capgen.errors import EndpointError, UsageError

# Settings of models that run here, with the value that says nothing.
_NOT_SERVED = {
    "revision": None,
    "runtime": "auto",
    "device": "auto",
    "dtype": "auto",
    "trust_remote_code": False,
}


@dataclass(frozen=True)
class ServedModel:
    """Which model captions: the server's name of it, and the server's address.

    Attributes:
        name: The server's name of the model.
        revision: The address without credentials.
    """

    name: str
    revision: str

    @property
    def fingerprint(self) -> str:
        """Identifies the model together with its name: a server does not tell more."""
        return self.revision


def served_by(options: ModelOptions) -> tuple[str, str | None]:
    """Return the address of the server that options name, and its name of the model.

    An address may stand in place of the model's name, as in `http://127.0.0.1:8080/v1#NAME`.
    """
    if options.endpoint is not None:
        return options.endpoint, options.model
    address, _, name = (options.model or "").partition("#")
    return address, name or None


def address_of(options: ModelOptions) -> Address:
    """Return the address of the server that options name.

    Raises:
        UsageError: It is not valid.
    """
    return read_address(served_by(options)[0])


def connect(options: ModelOptions, *, ask: bool = True) -> tuple[ServedModel, EndpointRuntime]:
    """Return the model on the server that options name, and a runtime that asks for captions.

    Args:
        options: Address, name of the model, prompt and pace.
        ask: Ask the server for its model where none is named; else the name may be empty.

    Raises:
        UsageError: The address is not valid, an option has no meaning for a server, or the server
            has several models and none was named.
        NetworkError: The server cannot be reached.
        EndpointError: It refuses, or does not tell its models.
    """
    for name, neutral in _NOT_SERVED.items():
        if getattr(options, name) != neutral:
            flag = name.replace("_", "-")
            raise UsageError(f"--{flag} is about models that run here, not on a server")
    client = Client(address_of(options), options)
    name = served_by(options)[1] or (_only_model(client) if ask else "")
    runtime = EndpointRuntime(client, name, options, system=options.system or "")
    return ServedModel(name, client.address.shown), runtime


def runtime_of(options: ModelOptions, name: str) -> EndpointRuntime:
    """Return another runtime that asks a model of that name; nothing is sent yet."""
    return connect(replace(options, endpoint=served_by(options)[0], model=name))[1]


def _only_model(client: Client) -> str:
    names = client.models()
    if names is None:
        raise EndpointError(
            f"{client.address.shown} does not tell which models it has",
            hint="Name one with --model; most servers' addresses end in /v1.",
        )
    if len(names) == 1:
        return names[0]
    if not names:
        raise EndpointError(f"{client.address.shown} has no model", hint="Load one there first.")
    few = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
    raise UsageError(
        f"{client.address.shown} has {len(names)} models: choose one with --model",
        hint=f"It has {few}.",
    )
