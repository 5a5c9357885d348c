"""Command-line options made from settings classes: help, range and default in one place.

A command's body takes settings records. `with_options` gives the command an option for each
of their fields, and makes the records from what was given.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from capgen.config import ModelOptions, described, flag_name, setting, variables

INPUT_PANEL = "Input"
MODEL_PANEL = "Model"
DECODING_PANEL = "Decoding"
OUTPUT_PANEL = "Output"
SCORING_PANEL = "Scoring"

# A default without spaces that is longer is cut off on a terminal of 80 columns.
_LONG = 30
# A setting of the command line alone: neither the environment nor the user's file sets it.
option = functools.partial(setting, remembered=False)


@dataclass(frozen=True)
class Fields:
    """Which fields of a settings class are options of a command, for `Annotated`.

    Attributes:
        only: These.
        without: All but these.
        given_of: The settings class, for a body that takes a mapping of what was given only.
    """

    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    given_of: type | None = None

    def names(self, kind: type) -> list[str]:
        every = [field.name for field in dataclasses.fields(kind)]
        return [name for name in self.only or every if name not in self.without]


@dataclass(frozen=True)
class After:
    """Where help shows an option, for `Annotated`: after the one of this parameter."""

    name: str


def only(*names: str) -> Fields:
    return Fields(only=names)


def without(*names: str) -> Fields:
    return Fields(without=names)


def given_of(kind: type) -> Fields:
    return Fields(given_of=kind)


def with_options(
    *, section: str = "", panels: Sequence[str] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that turns a body that takes settings records into a command.

    `section` is its section in the user's settings file, and `panels` the order of help.
    """

    def command_of(body: Callable[..., None]) -> Callable[..., None]:
        parameters: list[inspect.Parameter] = []
        records: dict[str, _Record] = {}
        for parameter in inspect.signature(body, eval_str=True).parameters.values():
            record = _record(parameter.annotation, section)
            if record is None:
                parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            else:
                records[parameter.name] = record
                parameters += record.parameters()

        @functools.wraps(body)
        def command(**given: Any) -> None:
            taken = {name: record.take(given) for name, record in records.items()}
            body(**given, **taken)

        parameters = _in_order(parameters, panels)
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {item.name: item.annotation for item in parameters}
        return command

    return command_of


@dataclass(frozen=True)
class _Record:
    """A settings record among the parameters of a body."""

    kind: type
    names: Sequence[str]
    given_only: bool
    section: str

    def parameters(self) -> list[inspect.Parameter]:
        hints = get_type_hints(self.kind, include_extras=True)
        fields = {field.name: field for field in dataclasses.fields(self.kind)}
        return [self._parameter(fields[name], hints[name]) for name in self.names]

    def _parameter(self, field: Any, hint: Any) -> inspect.Parameter:
        default, annotation = field.default, hint
        if _option_info(hint) is None:
            optional = self.given_only or default == ()
            default = None if optional else default
            made_option = _option(self.kind, field, self.section, switch=self.given_only)
            annotation = Annotated[_option_type(hint, optional), made_option]
        elif default == ():
            default = None
            kind, *extras = get_args(hint)
            annotation = Annotated[(_option_type(kind, True), *extras)]  # type: ignore[assignment]
        return inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if default is dataclasses.MISSING else default,
            annotation=annotation,
        )

    def take(self, given: dict[str, Any]) -> Any:
        """Remove the options of this record from those that were given; return the record."""
        values = {name: given.pop(name) for name in self.names}
        values = {name: value for name, value in values.items() if value not in (None, [])}
        if self.given_only:
            return values
        several = [field.name for field in dataclasses.fields(self.kind) if field.default == ()]
        return self.kind(**{n: tuple(v) if n in several else v for n, v in values.items()})


def _record(annotation: Any, section: str) -> _Record | None:
    """Return the settings record that a parameter's annotation stands for, if any."""
    kind, *extras = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
    fields = next((extra for extra in extras if isinstance(extra, Fields)), Fields())
    kind = fields.given_of or kind
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        return None
    return _Record(kind, fields.names(kind), fields.given_of is not None, section)


def _option(kind: type, field: Any, section: str, *, switch: bool = False) -> Any:
    """Make the option of a field, with the help and range that it declares.

    The settings class itself checks values, so that the library and the command line refuse
    the same values in the same words.

    `switch` offers `--no-NAME` even for a field that is off by default; the caller then reads the
    environment itself, to report where each setting comes from.
    """
    more: Mapping[str, Any] = field.metadata
    flags = more["flags"].split()
    if not any(flag.startswith("--") for flag in flags):
        flag = flag_name(field.name)
        both = field.default is True or (switch and field.default is False)
        flags = [f"{flag}/--no-{flag.removeprefix('--')}" if both else flag, *flags]
    owner = next(base for base in kind.__mro__ if field.name in inspect.get_annotations(base))
    return typer.Option(
        *flags,
        help=described(field),
        rich_help_panel=more["panel"] or getattr(owner, "PANEL", None),
        envvar=variables(field.name, section) if more["remembered"] and not switch else None,
        show_envvar=False,
        show_default=_default_shown(field.default),
    )


def _default_shown(default: Any) -> bool | str:
    """Return how help shows a default: as it is, unless it could not be read."""
    if isinstance(default, str) and default != default.strip():
        return repr(default)
    if isinstance(default, str) and len(default) > _LONG:
        return default.replace(",", ", ")
    return True


def _option_info(annotation: Any) -> Any:
    extras = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    return next((extra for extra in extras if isinstance(extra, typer.models.ParameterInfo)), None)


def _option_type(hint: Any, optional: bool) -> Any:
    """Return the type of a field's option: a list for several values."""
    kinds = [hint] if get_origin(hint) is tuple else get_args(hint)
    for kind in kinds:
        if get_origin(kind) is tuple:
            return list[get_args(kind)[0]] | None  # type: ignore[misc]
    return hint | None if optional else hint


def _in_order(
    parameters: Sequence[inspect.Parameter], panels: Sequence[str]
) -> list[inspect.Parameter]:
    """Return parameters panel by panel, those without one of the panels first."""

    def rank(parameter: inspect.Parameter) -> int:
        panel = getattr(_option_info(parameter.annotation), "rich_help_panel", None)
        return panels.index(panel) if panel in panels else -1

    ordered = sorted(parameters, key=rank)
    for parameter in parameters:
        extras = getattr(parameter.annotation, "__metadata__", ())
        for name in (extra.name for extra in extras if isinstance(extra, After)):
            ordered.remove(parameter)
            place = next(i for i, other in enumerate(ordered) if other.name == name)
            ordered.insert(place + 1, parameter)
    return ordered


_REVISION = next(item for item in dataclasses.fields(ModelOptions) if item.name == "revision")
RevisionOption = Annotated[str | None, _option(ModelOptions, _REVISION, "")]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print records as one JSON array.", rich_help_panel=OUTPUT_PANEL),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
