"""What happens while workers caption parts."""

from __future__ import annotations

from dataclasses import dataclass

from capgen.captioning.batch.pipeline import BatchFinished
from capgen.distributed.caption_share import PartReused
from capgen.distributed.vouchers import PartDone
from capgen.records import CaptionFailure


@dataclass(frozen=True, kw_only=True)
class Workers:
    """The number of workers has changed.

    Attributes:
        ready: Workers with a loaded model.
        starting: Workers without.
        lost: Why one was lost, if that is the reason.
        notes: Notes on the settings, when the first is ready.
    """

    ready: int
    starting: int
    lost: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class WorkersAwaited:
    """No worker is ready for long: there is no room, or loading takes its time."""

    seconds: float
    starting: int


@dataclass(frozen=True, kw_only=True)
class PartRetried:
    """A part is captioned again.

    Attributes:
        number: Which.
        reason: Why.
        how: `again` after its worker was lost, `in pieces` after several were, or a `copy` because
            it takes long.
    """

    number: int
    reason: str
    how: str


@dataclass(frozen=True, kw_only=True)
class PartFailures:
    """Failures of a part.

    Attributes:
        number: Which.
        failures: The first ones.
        more: How many there are besides.
    """

    number: int
    failures: tuple[CaptionFailure, ...]
    more: int


ScheduleEvent = (
    PartReused | PartDone | PartRetried | PartFailures | Workers | WorkersAwaited | BatchFinished
)
