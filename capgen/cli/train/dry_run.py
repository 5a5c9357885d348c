"""`capgen train --dry-run`: settings and their sources, parameters, memory and time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from capgen.cli.console import Console

if TYPE_CHECKING:
    from capgen.training.plan.estimate import Estimate
    from capgen.training.plan.stages import Plan, Stage


# `--init` decides these, not the preset.
_OF_A_NEW_MODEL = ("encoder", "decoder", "decoder_layers", "decoder_width")


def print_plan(plan: Plan, *, as_json: bool) -> None:
    """Print the settings and needs of a run, stage by stage if it has any."""
    console = Console()
    estimates = _estimates(plan)
    if as_json:
        records = [
            {"settings": _records(stage), "estimate": needs.to_dict()}
            for stage, needs in zip(plan.stages, estimates, strict=True)
        ]
        if plan.staged:
            names = [{"name": stage.name, "start_from": stage.start_from} for stage in plan.stages]
            stages = [{**name, **record} for name, record in zip(names, records, strict=True)]
            console.json({"stages": stages})
        else:
            console.json(records[0])
        return
    first = plan.stages[0]
    differing = _differing(plan)
    shared = [name for name in first.config.to_dict() if name not in differing]
    lines = [*_settings(first, shared), ""]
    for stage, needs in zip(plan.stages, estimates, strict=True):
        if plan.staged:
            lines += [f"stage {stage.number}: {stage.name}", *_settings(stage, differing), ""]
        lines += [*_parameters(needs), "", *_needs(needs, stage), ""]
    for line in lines[:-1]:
        console.data(line)


def _estimates(plan: Plan) -> list[Estimate]:
    from capgen.training.plan.estimate import estimate, read_training_data

    data = read_training_data(plan.first)
    return [
        estimate(stage.config, data, first=plan.first if stage.number > 1 else None)
        for stage in plan.stages
    ]


def _differing(plan: Plan) -> list[str]:
    records = [stage.config.to_dict() for stage in plan.stages]
    return [name for name in records[0] if any(r[name] != records[0][name] for r in records)]


def _records(stage: Stage) -> dict[str, Any]:
    return {
        name: {"value": value, "from": stage.sources[name]}
        for name, value in stage.config.to_dict().items()
    }


def _settings(stage: Stage, names: list[str]) -> list[str]:
    values = stage.config.to_dict()
    rows = [(name, _shown(values[name]), stage.sources[name]) for name in names]
    if stage.config.init is not None:
        given = f"the model of --init {stage.config.init}"
        rows = [(row[0], "-", given) if row[0] in _OF_A_NEW_MODEL else row for row in rows]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(2)]
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


def _needs(needs: Estimate, stage: Stage) -> list[str]:
    what = "images" if stage.config.sees_images else "captions"
    model, activations = needs.model_bytes / 2**30, needs.activation_bytes / 2**30
    return [
        f"memory: about {model + activations:.1f} GiB on {needs.device} "
        f"({model:.1f} model and optimizer, {activations:.1f} activations)",
        f"time: about {rough_duration(needs.seconds)} for {needs.steps} steps over {needs.images} "
        f"{what}, validation aside",
    ]


def rough_duration(seconds: float) -> str:
    """Return a time in hours and minutes, as in `2 h 5 min`; at least a minute."""
    hours, minutes = divmod(max(1, round(seconds / 60)), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
