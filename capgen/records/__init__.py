"""The records that flow between the layers, and their JSON form.

Records are plain frozen dataclasses. What is written to disk or printed as JSON carries
`schema_version`; fields are added, never renamed or removed, and readers ignore fields
they do not know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from capgen.lazy_names import lazy_names
from capgen.records.caption_parts import (
    Concept,
    Retry,
    Token,
    Unwritten,
    Usage,
    Word,
    WriteOutcome,
    without_nulls,
)
from capgen.records.captions import (
    RECORD_VERSION,
    SCHEMA_VERSION,
    Caption,
    CaptionFailure,
    Record,
    record_from_dict,
)
from capgen.records.checks import Check
from capgen.records.examples import Example
from capgen.records.reviews import NO_REVIEW, Review

if TYPE_CHECKING:
    from capgen.records.training_events import (
        CheckpointSaved,
        EpochEvent,
        Event,
        LimitPassed,
        Notice,
        PreparationEvent,
        RunCreated,
        RunFinished,
        RunResumed,
        RunStarted,
        SampleEvent,
        StageFinished,
        StageStarted,
        StepEvent,
        TestEvent,
        event_from_dict,
    )
else:  # classes that only training needs
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "capgen.records.training_events": (
                "CheckpointSaved",
                "EpochEvent",
                "Event",
                "LimitPassed",
                "Notice",
                "PreparationEvent",
                "RunCreated",
                "RunFinished",
                "RunResumed",
                "RunStarted",
                "SampleEvent",
                "StageFinished",
                "StageStarted",
                "StepEvent",
                "TestEvent",
                "event_from_dict",
            ),
        },
    )

__all__ = [
    "NO_REVIEW",
    "RECORD_VERSION",
    "SCHEMA_VERSION",
    "Caption",
    "CaptionFailure",
    "Check",
    "CheckpointSaved",
    "Concept",
    "EpochEvent",
    "Event",
    "Example",
    "LimitPassed",
    "Notice",
    "PreparationEvent",
    "Record",
    "Retry",
    "Review",
    "RunCreated",
    "RunFinished",
    "RunResumed",
    "RunStarted",
    "SampleEvent",
    "StageFinished",
    "StageStarted",
    "StepEvent",
    "TestEvent",
    "Token",
    "Unwritten",
    "Usage",
    "Word",
    "WriteOutcome",
    "event_from_dict",
    "record_from_dict",
    "without_nulls",
]
