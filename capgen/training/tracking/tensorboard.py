"""TensorBoard: event files in the run's folder, through tensorboard's own record writer.

torch's SummaryWriter is not used: it writes in a thread and may not report that this failed (a
full disk). Here every record is written at once, and a failure is an error.
"""

from __future__ import annotations

import io
import os
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event as Record
from tensorboard.compat.proto.event_pb2 import SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.summary.writer.record_writer import RecordWriter

from capgen.models.run_events import Axis, read_events
from capgen.records import CheckpointSaved, Event, RunResumed, RunStarted, SampleEvent
from capgen.training.tracking.sample_image import sample_image

FOLDER = "tensorboard"


class TensorboardTracker:
    """Writes a run for TensorBoard into `tensorboard` in its folder."""

    def __init__(self) -> None:
        self._run = Path()
        self._settings: Mapping[str, Any] = {}
        self._file: Any = None
        self._records: Any = None
        self._axis = Axis()
        self._samples: list[SampleEvent] = []
        self._shown: set[str] = set()

    def start(self, run: Path, settings: Mapping[str, Any]) -> None:
        """Remember the run; its first event says at which step the file starts."""
        self._run, self._settings = run, settings

    def event(self, event: Event) -> None:
        """Write an event."""
        if isinstance(event, SampleEvent):
            self._samples.append(event)
            return
        self._write_samples()
        if isinstance(event, RunStarted | RunResumed) and self._file is None:
            self._axis = Axis.along(read_events(self._run))
            # TensorBoard drops what a resumed run had written after its saved state.
            self._open(forget_from=self._axis.step + 1 if self._axis.step else 0)
            self._write_text("settings", _table(("setting", "value"), self._settings.items()))
        point = self._axis.take(event)
        if point is not None:
            self._write(
                Summary.Value(tag=name, simple_value=value) for name, value in point.values.items()
            )
        elif isinstance(event, CheckpointSaved) and event.value is not None:
            line = f"epoch {event.epoch}, step {event.step}: {event.value:.4f}"
            self._write_text(f"checkpoints/{event.name}", line)
        if self._file is not None:
            self._file.flush()

    def finish(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._write_samples()
            self._file.close()

    def _open(self, *, forget_from: int) -> None:
        folder = self._run / FOLDER
        folder.mkdir(exist_ok=True)
        name = f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}"
        self._file = (folder / name).open("wb")
        self._records = RecordWriter(self._file)
        self._put(Record(wall_time=time.time(), file_version="brain.Event:2"))
        start = SessionLog(status=SessionLog.START)
        self._put(Record(wall_time=time.time(), step=forget_from, session_log=start))

    def _write_samples(self) -> None:
        samples, self._samples = self._samples, []
        if not samples:
            return
        names = list(samples[0].metrics)
        rows = [
            (
                sample.image,
                sample.caption,
                " / ".join(sample.references),
                *(f"{sample.metrics.get(name, 0.0):.3f}" for name in names),
            )
            for sample in samples
        ]
        self._write_text("samples", _table(("image", "caption", "references", *names), rows))
        for sample in samples:
            if sample.followed and sample.image not in self._shown:
                self._shown.add(sample.image)  # the image never changes
                self._write_image(sample)

    def _write_image(self, sample: SampleEvent) -> None:
        image = sample_image(sample.path)
        if image is None:
            return
        data = io.BytesIO()
        image.save(data, "JPEG", quality=80)
        width, height = image.size
        encoded = Summary.Image(
            width=width, height=height, colorspace=3, encoded_image_string=data.getvalue()
        )
        self._write([Summary.Value(tag=f"photos/{sample.image}", image=encoded)])

    def _write_text(self, tag: str, markdown: str) -> None:
        text = TensorProto(
            dtype=DT_STRING,
            string_val=[markdown.encode("utf-8", "backslashreplace")],
            tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)]),
        )
        plugin = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
        self._write([Summary.Value(tag=tag, metadata=plugin, tensor=text)])

    def _write(self, values: Any) -> None:
        if self._file is not None:
            summary = Summary(value=list(values))
            self._put(Record(wall_time=time.time(), step=self._axis.step, summary=summary))

    def _put(self, record: Any) -> None:
        self._records.write(record.SerializeToString())


def _table(headers: Sequence[str], rows: Any) -> str:
    """Return a table in Markdown, which TensorBoard shows."""

    def line(cells: Any) -> str:
        escaped = (str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells)
        return "| " + " | ".join(escaped) + " |"

    return "\n".join([line(headers), line("---" for _ in headers), *(line(row) for row in rows)])
