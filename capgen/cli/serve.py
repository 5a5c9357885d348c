"""`capgen serve`: loads the model, runs the service, stops it in good order."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capgen.cli.console import Console
from capgen.cli.help import examples
from capgen.cli.options import DECODING_PANEL, INPUT_PANEL, MODEL_PANEL, only, with_options
from capgen.cli.sending import confirm_sending
from capgen.cli.user_defaults import unused_notes
from capgen.config import (
    SERVE_TOKEN_VARIABLE,
    BatchOptions,
    DecodeOptions,
    EndpointOptions,
    ImageLimits,
    InputOptions,
    ModelOptions,
    PromptOptions,
    ServeOptions,
    WordOptions,
)
from capgen.errors import UsageError

if TYPE_CHECKING:
    from capgen.captioning.captioner import Captioner
    from capgen.service.server import Server

EXAMPLES = examples(
    "capgen serve",
    "capgen serve --port 8100 --max-characters 125",
    "capgen serve --host 0.0.0.0 --token-file token.txt",
)
_SHORTEST_TOKEN = 16


@with_options(
    section="serve",
    panels=(
        *(ServeOptions.PANEL, INPUT_PANEL, MODEL_PANEL, PromptOptions.PANEL),
        *(EndpointOptions.PANEL, DECODING_PANEL, WordOptions.PANEL, BatchOptions.PANEL),
    ),
)
def serve_command(
    context: typer.Context,
    *,
    serving: ServeOptions,
    inputs: Annotated[InputOptions, only("allow_private")],
    limits: ImageLimits,
    model: ModelOptions,
    decoding: DecodeOptions,
    batch: Annotated[BatchOptions, only("batch_size", "workers")],
) -> None:
    """Caption images over HTTP: a service for programs.

    POST /v1/captions answers images with records; /v1/chat/completions speaks the OpenAI protocol.
    Requests of the moment are batched together. Decoding options are the defaults of requests.
    """
    from capgen.captioning.captioner import Captioner
    from capgen.captioning.runtimes.cores import lanes_and_threads
    from capgen.http_server import listen
    from capgen.service.app import make_app
    from capgen.service.asked import RequestOptions, Resolver
    from capgen.service.caps import Caps
    from capgen.service.captioning import CaptionService, Intake
    from capgen.service.open_files import allow_connections
    from capgen.service.server import Server

    console = Console()
    for note in unused_notes(context, "serve"):
        console.note(note)
    token = read_token(serving)
    confirm_sending(model)
    allow_connections(serving.connections)
    listening = listen(serving.host, serving.port, hint="Choose another port.")
    with listening:
        lanes, threads = lanes_and_threads(None, batch.batch_size)
        captioner = Captioner.from_options(model, threads=threads)
        defaults = RequestOptions(decoding=decoding, prompt=model_prompt(model))
        service = CaptionService(
            Resolver(
                captioner,
                defaults,
                name_of(captioner, serving),
                batch.batch_size,
                Caps(serving, decoding),
            ),
            Intake(
                limits=replace(limits, max_bytes=min(limits.max_bytes, serving.max_body)),
                queue=serving.queue,
                download=serving.download,
                allow_private=inputs.allow_private,
                workers=batch.workers,
            ),
            lanes=captioner.runtime.in_flight or (lanes if captioner.runtime.name == "onnx" else 1),
        )
        server = Server(make_app(service, serving, token), listening, serving)
        server.start()
        try:
            port = listening.getsockname()[1]
            host = f"[{serving.host}]" if ":" in serving.host else serving.host
            console.note(f"{service.resolver.name} answers at http://{host}:{port}; Ctrl-C ends it")
            _run(console, server)
        finally:
            service.close()


def _run(console: Console, server: Server) -> None:
    """Run until a signal comes, then stop in good order; a second signal ends it at once."""
    with suppress(KeyboardInterrupt, SystemExit):  # that is how a service ends
        server.wait()
    try:
        console.note("stopping: requests in progress are answered; Ctrl-C ends at once")
        if not server.stop():
            console.note("not all requests were answered in time")
    except (KeyboardInterrupt, SystemExit):
        server.end_at_once()
        raise


def model_prompt(model: ModelOptions) -> PromptOptions:
    """Return what requests ask of the model unless they say otherwise."""
    return PromptOptions(prompt=model.prompt, system=model.system, start_with=model.start_with)


def name_of(captioner: Captioner, serving: ServeOptions) -> str:
    """Return the model's name for answers: of a folder the last part, for paths stay here."""
    if serving.name is not None:
        return serving.name
    return Path(captioner.name).name if os.path.isdir(captioner.name) else captioner.name  # noqa: PTH112


def read_token(serving: ServeOptions) -> str:
    """Return the token that requests must have, or "" if only this machine reaches the service.

    Raises:
        UsageError: There is none where one is needed, or it is too weak.
    """
    token, place = os.environ.get(SERVE_TOKEN_VARIABLE, "").strip(), SERVE_TOKEN_VARIABLE
    if serving.token_file is not None:
        place = f"--token-file {serving.token_file}"
        try:
            token = serving.token_file.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not text"
            raise UsageError(f"{place}: {reason}") from error
    if not token and (serving.token_file is not None or not serving.is_local):
        raise UsageError(
            f"--host {serving.host} is reached from other machines: requests need a token"
            if serving.token_file is None
            else f"{place} is empty",
            hint="Make one: openssl rand -hex 32 > token.txt",
        )
    if token and (len(token) < _SHORTEST_TOKEN or not token.isascii() or not token.isprintable()):
        raise UsageError(
            f"The token of {place} must have at least {_SHORTEST_TOKEN} plain characters"
        )
    return token
