"""What the service counts and times, in the text format of Prometheus."""

from __future__ import annotations

import time
from collections import deque

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)

import capgen
from capgen.records import CaptionFailure, Record

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
# How many of the last images tell how fast it goes.
_RECENT = 64
_LONGEST_WAIT = 60


class Measures:
    """Counters and times of one service. Thread-safe.

    Args:
        model: The model's name.
        revision: The model's revision.
    """

    def __init__(self, model: str, revision: str) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        ProcessCollector(registry=registry)
        Info("capgen", "The service.", registry=registry).info(
            {"version": capgen.__version__, "model": model, "revision": revision}
        )
        self._requests = Counter(
            "capgen_requests",
            "Requests that were answered.",
            ("route", "status"),
            registry=registry,
        )
        self._durations = Histogram(
            "capgen_request_seconds",
            "Seconds from a request's head to its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._running = Gauge(
            "capgen_requests_in_progress", "Requests that are read or answered.", registry=registry
        )
        self._captions = Counter("capgen_captions", "Images with a caption.", registry=registry)
        self._failures = Counter(
            "capgen_failures", "Images without a caption.", ("code",), registry=registry
        )
        self._held = Gauge("capgen_images", "Images that are worked on or wait.", registry=registry)
        self._in_flight = Gauge(
            "capgen_images_in_flight", "Images that the model works on.", registry=registry
        )
        self._batches = Histogram(
            "capgen_batch_images", "Images per batch.", buckets=_SIZES, registry=registry
        )
        self._stages = Histogram(
            "capgen_stage_seconds",
            "Seconds to fetch and to decode an image, to wait for the model, of a batch in it.",
            ("stage",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._done: deque[float] = deque(maxlen=_RECENT)

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self._registry)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(route, status).inc()
        self._durations.labels(route).observe(seconds)

    def running(self, requests: int) -> None:
        """Note how many requests are in progress."""
        self._running.set(requests)

    def recorded(self, record: Record) -> None:
        """Count an image that has its record."""
        if isinstance(record, CaptionFailure):
            self._failures.labels(record.code).inc()
        else:
            self._captions.inc()
        self._done.append(time.monotonic())

    def held(self, images: int) -> None:
        """Note how many images are worked on or wait."""
        self._held.set(images)

    def begun(self, images: int) -> None:
        """Note that a batch begins."""
        self._batches.observe(images)
        self._in_flight.inc(images)

    def ended(self, images: int) -> None:
        """Note that a batch has ended."""
        self._in_flight.dec(images)

    def seconds(self, stage: str, seconds: float) -> None:
        """Note how long a stage took: `fetch`, `decode`, `wait` or `model`."""
        self._stages.labels(stage).observe(seconds)

    def seconds_for(self, images: int) -> int:
        """Return in how many seconds so many images will be done, as fast as it went lately."""
        done = [*self._done]
        if len(done) < 2 or done[-1] <= done[0]:
            return 1
        rate = (len(done) - 1) / (done[-1] - done[0])
        return max(1, min(_LONGEST_WAIT, round(images / rate)))
