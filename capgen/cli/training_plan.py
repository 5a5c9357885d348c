"""`capgen train --dry-run`: settings with where they come from, parameters, and needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from capgen.cli.console import Console

if TYPE_CHECKING:
    from capgen.training.estimate import Estimate
    from capgen.training.settings import Resolved


def print_plan(resolved: Resolved, *, as_json: bool) -> None:
    """Print what a run would be and take.

    Raises:
        CapgenError: It could not start.
    """
    from capgen.training.estimate import estimate

    console = Console()
    settings = resolved.config.to_dict()
    needs = estimate(resolved.config)
    if as_json:
        records = {
            name: {"value": value, "from": resolved.sources[name]}
            for name, value in settings.items()
        }
        console.json({"settings": records, "estimate": needs.to_dict()})
        return
    for line in [*_settings(settings, resolved), "", *_parameters(needs), "", *_needs(needs)]:
        console.data(line)


def _settings(settings: dict[str, Any], resolved: Resolved) -> list[str]:
    rows = [(name, _shown(value), resolved.sources[name]) for name, value in settings.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return [f"{name:{widths[0]}}  {value:{widths[1]}}  {source}" for name, value, source in rows]


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return "-" if value is None else str(value)


def _parameters(needs: Estimate) -> list[str]:
    lines = [f"{'part':<8} {'parameters':>12} {'trained':>12} {'learning rate':>14}"]
    for part in needs.parts:
        rate = f"{part.learning_rate:.2g}" if part.trained else "-"
        lines.append(f"{part.name:<8} {part.parameters:>12,} {part.trained:>12,} {rate:>14}")
    return lines


def _needs(needs: Estimate) -> list[str]:
    model, activations = needs.model_bytes / 2**30, needs.activation_bytes / 2**30
    minutes, _ = divmod(round(needs.seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return [
        f"memory: about {model + activations:.1f} GiB on {needs.device} "
        f"({model:.1f} model and optimizer, {activations:.1f} activations)",
        f"time: about {hours}:{minutes:02d} h for {needs.steps} steps over {needs.images} photos, "
        "validation aside",
    ]
