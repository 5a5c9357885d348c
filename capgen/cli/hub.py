"""`capgen hub`: push models to the Hub, pull them, log in."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capgen.cli.console import Console, is_terminal
from capgen.cli.help import examples
from capgen.cli.options import Json, Yes, with_options
from capgen.errors import UsageError

if TYPE_CHECKING:
    from capgen.hub.push import PushPlan

hub_app = typer.Typer(
    name="hub", help="Push models to the Hub, pull them, log in.", no_args_is_help=True
)

Token = Annotated[
    str | None,
    typer.Option(
        help="Access token. Other users of this machine can see it in the process list: "
        "HF_TOKEN, HUGGINGFACE_TOKEN or `capgen hub login` are safer.",
        show_default=False,
    ),
]


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """How a model is pushed, and what its card shows."""

    private: Annotated[
        bool, typer.Option("--private", help="Create a private repository; refuse a public one.")
    ] = False
    revision: Annotated[
        str | None,
        typer.Option(help="Branch to commit to; created if missing.", show_default="main"),
    ] = None
    message: Annotated[str, typer.Option(help="Commit message.", show_default=False)] = ""
    licence: Annotated[
        str, typer.Option("--license", help="Licence of the weights, as the Hub names it.")
    ] = "other"
    example: Annotated[
        list[Path] | None,
        typer.Option(
            help="Image to caption for the model card; may be repeated. It becomes public: "
            "give only images that you may publish.",
            show_default=False,
        ),
    ] = None
    credit: Annotated[
        str, typer.Option(help="Credit for the example images.", show_default=False)
    ] = ""


@hub_app.command(
    "push",
    epilog=examples(
        "capgen hub push first/best-eval me/first --dry-run",
        "capgen hub push first/best-eval me/first --private",
    ),
)
@with_options()
def push_command(
    model: Annotated[
        str, typer.Argument(help="Model folder, RUN/best-eval, a kept model, 'mini', or a Hub id.")
    ],
    repository: Annotated[str, typer.Argument(metavar="USER/NAME", help="Repository to push to.")],
    asked: Pushed,
    token: Token = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be pushed, and send nothing.")
    ] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Push a model in one commit, with a model card made from its record.

    A new repository is public unless you add --private: on a terminal, capgen asks before it
    makes one.

    Files that the Hub already has are not sent again, so an interrupted push can be repeated.
    """
    from capgen.hub.login import need_token
    from capgen.hub.push import PushOptions, plan_push, push_model
    from capgen.models.resolve import resolve_model

    console = Console()
    options = PushOptions(
        private=asked.private, revision=asked.revision, message=asked.message, licence=asked.licence
    )
    access = "" if dry_run else need_token(token)
    folder = resolve_model(model)
    plan = plan_push(folder, repository, options)  # refuses before any work is done
    if asked.example:
        from capgen.hub.card_examples import caption_examples

        shown = tuple(caption_examples(folder, asked.example, asked.credit))
        plan = plan_push(folder, repository, dataclasses.replace(options, examples=shown))
    if dry_run:
        _show_plan(console, plan, as_json=as_json)
        return
    visible = _visibility(plan, access, yes=yes)
    console.note(f"pushing {_amount(plan)} to {repository} ({plan.branch}), {visible}")
    with _bars_on_terminals_only():
        pushed = push_model(plan, access)
    for name in pushed.removed:
        console.note(f"removed {name}, which the model no longer has")
    if not pushed.changed:
        console.note("nothing has changed")
    if as_json:
        console.json({**plan.to_dict(), "private": pushed.private, "commit": pushed.commit})
    else:
        console.data(pushed.url)


@hub_app.command("pull", epilog=examples("capgen hub pull me/first"))
def pull_command(
    model: Annotated[str, typer.Argument(metavar="USER/NAME[@REV]", help="The model.")],
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit.", show_default="main")
    ] = None,
    trust_remote_code: Annotated[
        bool,
        typer.Option(
            "--trust-remote-code",
            help="Also fetch its Python files. They only run when you use the model with "
            "--trust-remote-code.",
        ),
    ] = False,
    max_gb: Annotated[
        float, typer.Option(min=0.001, max=10_000, help="Refuse models larger than this, in GB.")
    ] = 32.0,
    as_json: Json = False,
) -> None:
    """Fetch a model, check it, and pin it to its commit.

    Prints the name for --model, with the commit.
    """
    from capgen.hub.pull import pull_model
    from capgen.models.hub_files import Limits

    console = Console()
    limits = Limits(total_bytes=int(max_gb * (1 << 30)))
    with _bars_on_terminals_only():
        record = pull_model(
            model, revision=revision, trust_remote_code=trust_remote_code, limits=limits
        )
    if as_json:
        console.json(dataclasses.asdict(record))
        return
    console.note(f"{len(record.files)} files checked; '{record.identifier}' now means this commit")
    console.data(f"{record.identifier}@{record.commit}")


@hub_app.command("login", epilog=examples("capgen hub login"))
def login_command() -> None:
    """Save an access token for capgen and other Hugging Face programs; reads it from stdin."""
    from capgen.hub.login import need_token, save_login

    if is_terminal(sys.stdin):
        token = typer.prompt("Access token (hf.co/settings/tokens)", hide_input=True, err=True)
    else:
        token = sys.stdin.readline() if sys.stdin is not None else ""
    if not token.strip():
        raise UsageError("No token was given")
    Console().note(f"logged in as {save_login(need_token(token))}")


@hub_app.command("whoami", epilog=examples("capgen hub whoami"))
def whoami_command(token: Token = None) -> None:
    """Print the name of the user that the token belongs to."""
    from capgen.hub.login import need_token, whoami

    Console().data(whoami(need_token(token)))


def _visibility(plan: PushPlan, token: str, *, yes: bool) -> str:
    """Return who will see the model; on a terminal, ask before a public repository is made."""
    from capgen.hub.push import current_visibility

    if plan.options.private:
        return "private"
    now = current_visibility(plan.repository, token)
    if now != "new":
        return f"which is {now}"
    if not yes and is_terminal(sys.stdin):
        question = f"{plan.repository} will be new and public: everyone can see it. Push?"
        typer.confirm(question, abort=True, err=True)
    return "new and public"


def _show_plan(console: Console, plan: PushPlan, *, as_json: bool) -> None:
    if as_json:
        console.json({**plan.to_dict(), "card": plan.card})
        return
    visible = "private" if plan.options.private else "public, unless it is private already"
    console.data(f"{plan.repository}  branch {plan.branch}  {visible}")
    for file in plan.files:
        console.data(f"{file.size:>13,}  {file.sha256[:16]}  {file.name}")
    console.note(f"{_amount(plan)} would be pushed; nothing was sent")


def _amount(plan: PushPlan) -> str:
    return f"{len(plan.files)} files of {sum(file.size for file in plan.files) / 1e6:.1f} MB"


@contextmanager
def _bars_on_terminals_only() -> Iterator[None]:
    from huggingface_hub import utils

    shown = not utils.are_progress_bars_disabled()  # type: ignore[attr-defined]
    if not is_terminal(sys.stderr):
        utils.disable_progress_bars()  # type: ignore[attr-defined]
    try:
        yield
    finally:
        if shown:
            utils.enable_progress_bars()  # type: ignore[attr-defined]
