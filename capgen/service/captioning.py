"""Images of requests to records: fetched, decoded beside the model, captioned in batches."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from capgen.captioning.batch.sources import UrlSource
from capgen.captioning.prepare import failure_of
from capgen.captioning.runtimes.cores import usable_cores
from capgen.config import ImageLimits
from capgen.errors import ImageError
from capgen.images.decoders import printable
from capgen.records import CaptionFailure, Record
from capgen.service.answers import RequestError
from capgen.service.asked import Asked, RequestOptions, Resolver
from capgen.service.batcher import Batcher
from capgen.service.measures import Measures

# Downloads at the same time: slow ones must not take the threads that decode.
_DOWNLOADS = 8


@dataclass(frozen=True, eq=False)
class Incoming:
    """An image of a request.

    Attributes:
        name: Its name in records: that of the part of a form, or its address.
        data: Its bytes, or None if it is to be fetched.
        address: Where to fetch it.
    """

    name: str | None = None
    data: bytes | None = None
    address: str = ""


@dataclass(frozen=True, kw_only=True)
class Intake:
    """Which images are taken.

    Attributes:
        limits: The largest image.
        queue: Images at the same time.
        download: Whether addresses are fetched.
        allow_private: Whether private addresses are, too.
        workers: Threads that decode; None for one per core.
    """

    limits: ImageLimits
    queue: int
    download: bool = True
    allow_private: bool = False
    workers: int | None = None


class CaptionService:
    """Captions the images of requests. Its coroutines belong to one event loop.

    Args:
        resolver: The model and its options.
        intake: Which images are taken.
        lanes: Batches at the same time.
    """

    def __init__(self, resolver: Resolver, intake: Intake, lanes: int) -> None:
        self.resolver = resolver
        self.measures = Measures(resolver.name, resolver.revision)
        self._intake = intake
        self._batcher = Batcher(lanes, self.measures)
        self._decoders = ThreadPoolExecutor(intake.workers or usable_cores(), "capgen-decode")
        self._fetchers = ThreadPoolExecutor(_DOWNLOADS, "capgen-download")
        self._held = 0

    def close(self) -> None:
        """End all threads; images that wait are cancelled."""
        self._batcher.close()
        for pool in (self._decoders, self._fetchers):
            pool.shutdown(wait=False, cancel_futures=True)

    def check_room(self, images: int = 1) -> None:
        """Check that there is room for images.

        Raises:
            RequestError: There is none now, or never is for so many.
        """
        if images > self._intake.queue:
            raise RequestError(
                413, f"{images} images are more than the {self._intake.queue} of the queue"
            )
        if self._held + images > self._intake.queue:
            seconds = self.measures.seconds_for(self._held)
            raise RequestError(
                429,
                "The queue is full",
                f"Ask again in {seconds} s.",
                code="queue_full",
                headers={"Retry-After": str(seconds)},
            )

    async def records(self, images: Sequence[Incoming], options: RequestOptions) -> list[Record]:
        """Return the records of images, in their order.

        Raises:
            RequestError: There is no room for them, or their addresses are not fetched.
            UsageError: The model does not take the options.
            NetworkError: The model is on a server that fails.
        """
        if any(image.data is None for image in images) and not self._intake.download:
            raise RequestError(403, "This service fetches no addresses", "Send the image itself.")
        self.check_room(len(images))
        loop = asyncio.get_running_loop()
        asked = await loop.run_in_executor(self._decoders, self.resolver.resolve, options)
        self.check_room(len(images))
        self._hold(len(images))
        tasks = [asyncio.create_task(self._record(image, asked)) for image in images]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            self._hold(-len(images))
            for task in tasks:
                task.cancel()

    def _hold(self, images: int) -> None:
        self._held += images
        self.measures.held(self._held)

    async def _record(self, image: Incoming, asked: Asked) -> Record:
        record = await self._made(image, asked)
        self.measures.recorded(record)
        return record

    async def _made(self, image: Incoming, asked: Asked) -> Record:
        loop = asyncio.get_running_loop()
        data, name = image.data, image.name
        limits = self._intake.limits
        if data is None:
            fetched = await self._fetch(image)
            if isinstance(fetched, CaptionFailure):
                return asked.failed(fetched)
            data, name = fetched, UrlSource.at(image.address, allow_private=False).name
        begun = time.monotonic()
        prepared = await loop.run_in_executor(self._decoders, asked.prepare, data, name, limits)
        self.measures.seconds("decode", time.monotonic() - begun)
        if isinstance(prepared, CaptionFailure):
            return prepared
        return await asyncio.wrap_future(self._batcher.add(asked, prepared))

    async def _fetch(self, image: Incoming) -> bytes | CaptionFailure:
        source = UrlSource.at(image.address, allow_private=self._intake.allow_private)
        stop, begun = threading.Event(), time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(
                self._fetchers, source.read, self._intake.limits, stop
            )
        except ImageError as error:
            failure = failure_of(error, source.name)
            if error.code != "refused_address":
                return failure
            # Not which address it has: names of an internal network are nobody's business.
            message = f"{printable(source.name)}: not a public address"
            return replace(failure, message=message, hint="Send the image itself.")
        finally:
            stop.set()  # the client may have gone: nobody needs it any more
            self.measures.seconds("fetch", time.monotonic() - begun)
