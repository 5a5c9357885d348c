"""Which engine captions a list: this process, or workers of a cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from capgen.config.fields import check_ranges, setting
from capgen.errors import UsageError

ENGINES = ("local", "ray")
_ACTORS = re.compile(r"(\d{1,5})(?::(\d{1,5}))?")


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """The engine, and what its workers get.

    Raises:
        UsageError: A value is not one of those that there are, or out of its range.
    """

    PANEL: ClassVar[str] = "Many machines"

    engine: str = setting("local", "What captions: local (this process), or ray (a Ray cluster).")
    ray_address: str | None = setting(
        None,
        "Address of the Ray cluster, as in HOST:6379, or auto for the one that this machine is "
        "part of. Default: RAY_ADDRESS, or else Ray is started on this machine.",
    )
    actors: str | None = setting(
        None,
        "Ray actors with a loaded model: a number, or the fewest and the most, as in 2:16. "
        "Default: as many as there is room for; 1 with --endpoint.",
    )
    actor_cpus: int | None = setting(
        None,
        "Cores for each actor. Default: 1; beside GPUs, its share of the machine's cores.",
        low=1,
        high=1024,
    )
    actor_gpus: float | None = setting(
        None,
        "GPUs for each actor, as in 1 or 0.5. Default: 1 if the cluster has GPUs and the model "
        "can use them.",
        low=0.0,
        high=64.0,
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.engine not in ENGINES:
            raise UsageError(f"--engine is '{self.engine}'; it must be one of {', '.join(ENGINES)}")
        _ = self.actor_range

    @property
    def actor_range(self) -> tuple[int, int | None]:
        """The fewest and the most actors; None is as many as there is room for."""
        if self.actors is None:
            return 1, None
        found = _ACTORS.fullmatch(self.actors.strip())
        least = int(found[1]) if found else 0
        most = int(found[2] or found[1]) if found else 0
        if not 1 <= least <= most:
            raise UsageError(
                f"--actors is '{self.actors}'; it must be a number, or the fewest and the most, "
                "as in 2:16"
            )
        return least, most
