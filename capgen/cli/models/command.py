"""`capgen models`: list, show, compare, export, check, rename and remove models."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from capgen.cli.console import Console, confirm_deletion
from capgen.cli.help import examples
from capgen.cli.models import compare
from capgen.cli.options import Json, RevisionOption, Yes, option, with_options, without
from capgen.cli.sending import confirm_sending
from capgen.cli.user_defaults import unused_notes, use_user_defaults
from capgen.config import ModelOptions
from capgen.errors import UsageError

models_app = typer.Typer(name="models", no_args_is_help=True)


@models_app.callback()
def _models(context: typer.Context) -> None:
    """List, compare, export, check and manage models."""
    use_user_defaults(context, "models.")


Name = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="'mini', 'mini:int8', RUN/best-eval, a kept model, a folder, a short name "
        "(`models list --known`), or a Hub id.",
    ),
]


@models_app.command("list", epilog=examples("capgen models list", "capgen models list --known"))
def list_command(
    known: Annotated[
        bool,
        typer.Option(
            "--known",
            help="List captioners worth using instead, with sizes and licences from their cards.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """List the models on this machine: bundled, trained, exported, and from the Hub.

    A star marks the default model.
    """
    from capgen.cli.models import known as known_view
    from capgen.cli.models import view
    from capgen.registry.listing import list_models

    console = Console()
    if known:
        known_view.show_known(console, as_json=as_json)
        return
    entries = list_models()
    if as_json:
        console.json([entry.to_dict() for entry in entries])
        return
    view.show_list(console, entries)


@models_app.command(
    epilog=examples(
        "capgen models show mini",
        "capgen models show blip-base",
        "capgen models show RUN/best-eval --json",
    )
)
def show(model: Name, revision: RevisionOption = None, as_json: Json = False) -> None:
    """Show details of a model: parts, data, training, scores, files, and whether it runs here.

    A known model (`models list --known`) need not be downloaded for that.
    """
    from capgen.cli.models import known as known_view
    from capgen.cli.models import view
    from capgen.models.folder import ModelFolder
    from capgen.registry.listing import find_model, known_elsewhere

    console = Console()
    elsewhere = known_elsewhere(model)
    if elsewhere is not None:
        known_view.show_elsewhere(console, elsewhere, as_json=as_json)
        return
    entry = find_model(model, revision=revision)
    assert entry.path is not None
    folder = ModelFolder(entry.path, entry.name, entry.revision)
    if as_json:
        console.json(view.full_record(entry, folder))
        return
    view.show_entry(console, entry, folder)


models_app.command("compare", epilog=compare.EXAMPLES)(compare.compare_command)


@models_app.command(epilog=examples("capgen models default first/best-eval"))
def default(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="The new default model.")
    ] = None,
    unset: Annotated[bool, typer.Option("--unset", help="Return to the bundled model.")] = False,
) -> None:
    """Show or change the model that commands use without --model.

    --model comes first, then the variable CAPGEN_MODEL, then this default.
    """
    from capgen.registry.default import VARIABLE, default_model, save_default
    from capgen.registry.listing import lasting_name

    console = Console()
    if model is not None and unset:
        raise UsageError("--unset and a model cannot be used together")
    if model is not None or unset:
        file = save_default(None if model is None else lasting_name(model))
        console.note(f"written to {file}")
    chosen = default_model()
    console.data(chosen.name)
    if chosen.source == VARIABLE and (model is not None or unset):
        console.note(f"{VARIABLE} is set and takes precedence")
    elif model is None and not unset:
        console.note(f"chosen by: {chosen.source}")


@dataclass(frozen=True, kw_only=True)
class Exported:
    """The model that an export makes."""

    format: str = option("onnx", "Format of the new model; only onnx.")
    int8: bool = option(False, "Quantise weights and activations to 8 bits.")
    photos: Path | None = option(  # noqa: RUF009
        None, "With --int8: a folder of images like those to be captioned."
    )
    output: Path | None = option(  # noqa: RUF009
        None,
        "Folder for the new model; by default it is kept as NAME-onnx or NAME-int8.",
        flags="--output -o",
    )

    def __post_init__(self) -> None:
        if self.format != "onnx":
            raise UsageError(f"--format is '{self.format}'; it must be onnx")
        if self.photos is not None and not self.int8:
            raise UsageError("--photos needs --int8")


@models_app.command(epilog=examples("capgen models export mini --int8 --photos my-photos/"))
@with_options()
def export(
    model: Name, new: Exported, revision: RevisionOption = None, as_json: Json = False
) -> None:
    """Export a model to ONNX, as a new model. Needs the extra `export`."""
    from capgen.images.folders import find_images
    from capgen.registry.export import export_model

    images = [] if new.photos is None else find_images(new.photos, recursive=True)
    exported = export_model(
        model, revision=revision, int8=new.int8, images=images, output=new.output
    )
    console = Console()
    if as_json:
        console.json(exported.to_dict())
        return
    console.data(exported.name)
    console.note(
        f"{exported.size / 1e6:,.1f} MB of weights and graphs "
        f"({exported.source}: {exported.source_size / 1e6:,.1f} MB)"
    )
    if exported.photos:
        console.note(
            f"{exported.same} of {exported.photos} calibration images keep their caption; "
            f"to measure more: capgen models compare {model} {exported.name}"
        )


@models_app.command(epilog=examples("capgen models rename RUN flickr8k-clip"))
def rename(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A training run or a kept model.")],
    new: Annotated[str, typer.Argument(metavar="NAME", help="Its new name.")],
) -> None:
    """Rename a training run or a kept model. Never replaces another."""
    from capgen.registry import changes

    Console().data(str(changes.rename(model, new)))


@models_app.command(epilog=examples("capgen models remove first/last --yes"))
def remove(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A training run, RUN/CHECKPOINT, or a kept model."),
    ],
    yes: Yes = False,
) -> None:
    """Delete a training run, one of its checkpoints, or a kept model."""
    from capgen.registry import changes

    place = changes.owned(model).path
    if not yes:
        confirm_deletion(place)
    Console().data(f"Removed {changes.remove(model)}")


@models_app.command(epilog=examples("capgen models prune", "capgen models prune --yes"))
def prune(yes: Yes = False, as_json: Json = False) -> None:
    """Delete training runs that have no model, and broken checkpoints.

    Runs that can go on from a saved state, or changed within the last hour, are kept.
    """
    from capgen.images.decoders import printable
    from capgen.registry import changes
    from capgen.registry.prune import useless_runs

    console = Console()
    found = useless_runs()
    doomed = [run.name for run in found if not run.kept]
    for run in found:
        end = f"; kept: {run.kept}" if run.kept else ""
        console.note(f"{printable(run.name)}: {printable(run.reason)}{end}")
    if doomed and not yes:
        confirm_deletion(", ".join(map(printable, doomed)))
    removed = [str(changes.remove(name)) for name in doomed]
    if as_json:
        console.json([vars(run) for run in found])
        return
    for place in removed:
        console.data(f"Removed {place}")
    if not removed:
        console.note("nothing to remove")


@models_app.command(epilog=examples("capgen models test RUN/best-eval photo.jpg"))
@with_options(section="models.test")
def test(
    context: typer.Context,
    model: Name,
    images: Annotated[list[str], typer.Argument(metavar="IMAGE", help="Images to caption.")],
    runs_on: Annotated[ModelOptions, without("model", "trust_remote_code")],
    as_json: Json = False,
) -> None:
    """Caption images with a model, and measure how long loading and captioning take."""
    import time

    from capgen.captioning.captioner import Captioner
    from capgen.cli.models import view

    console = Console()
    for note in unused_notes(context, "models.test"):
        console.note(note)
    options = replace(runs_on, model=model)
    confirm_sending(options)
    start = time.perf_counter()
    captioner = Captioner.from_options(options)
    loaded = time.perf_counter() - start
    if view.show_test(console, captioner, images, loaded, as_json=as_json):
        raise typer.Exit(1)


@models_app.command(epilog=examples("capgen models verify mini RUN/best-eval"))
def verify(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL", help="One or more models, named as for --model.")
    ],
    revision: RevisionOption = None,
    as_json: Json = False,
) -> None:
    """Check models: hashes, weights, loading, and the caption of a test image."""
    from capgen.cli.models import view
    from capgen.registry.verify import verify_model

    console = Console()
    checks = {model: list(verify_model(model, revision=revision)) for model in models}
    if as_json:
        console.json({model: [vars(check) for check in checks[model]] for model in models})
    else:
        for model in models:
            view.show_checks(console, model, checks[model])
    if any(check.ok is False for model in models for check in checks[model]):
        raise typer.Exit(1)
