"""Images in stores, read before they are needed, while others are decoded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from capgen.captioning.batch.sources import Source

# Reads under way at a time. A store answers after a tenth of a second: more than 300 images/s.
AT_ONCE = 32
# What has been read and waits for a decoder may take this much memory.
_WAITING_BYTES = 128 << 20


@dataclass(frozen=True)
class Readable:
    """An image that may be under way.

    Attributes:
        source: Where it comes from.
        read: Returns its bytes, or raises what reading it raised.
    """

    source: Source
    read: Callable[[], bytes]


def fetched_ahead(
    pool: ThreadPoolExecutor,
    sources: Iterable[Source],
    read: Callable[[Source], bytes],
    *,
    ahead: int = AT_ONCE,
) -> Iterator[Readable]:
    """Yield sources in order; those that are distant are read ahead in the threads of `pool`.

    Args:
        pool: As many threads as there are reads at a time.
        sources: The images.
        read: Reads one.
        ahead: Most images, of which the first is distant, that are held back.
    """
    held: deque[tuple[Source, Future[bytes] | None]] = deque()

    def is_full() -> bool:
        done = [future for _, future in held if future is not None and future.done()]
        size = sum(len(future.result()) for future in done if future.exception() is None)
        return len(held) >= ahead or size >= _WAITING_BYTES

    for source in sources:
        held.append((source, pool.submit(read, source) if source.distant else None))
        while held and (held[0][1] is None or is_full()):
            yield _readable(*held.popleft(), read)
    for source, future in held:
        yield _readable(source, future, read)


def _readable(
    source: Source, future: Future[bytes] | None, read: Callable[[Source], bytes]
) -> Readable:
    return Readable(source, partial(read, source) if future is None else future.result)
