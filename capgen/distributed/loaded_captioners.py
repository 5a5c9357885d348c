"""Captioners that stay loaded as long as their process, for functions that come and go.

Engines unpickle a function once for each task, and many tasks run in one process, one after the
other or side by side. Only what belongs to the process outlives a task, so the models are kept in
a module's variable. It holds few of them, and each is loaded once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from threading import Lock

from capgen.captioning.captioner import Captioner
from capgen.config import ModelOptions

_Key = tuple[ModelOptions, int]


@dataclass(frozen=True)
class _Loaded:
    """A captioner; `turn` is held by the thread that uses it, if only one may at a time."""

    captioner: Captioner
    turn: AbstractContextManager[object]


class LoadedCaptioners:
    """The captioners that were used last, at most `limit` of them. Thread-safe.

    A process that was forked off loads its own. The threads of ONNX Runtime are not copied, and
    those sessions wait for them when they end: so these are kept, unused, until the process ends.
    """

    def __init__(self, limit: int = 2) -> None:
        self._limit = limit
        self._lock = Lock()
        self._loaded: dict[_Key, _Loaded] = {}
        self._parents: list[dict[_Key, _Loaded]] = []
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin_anew)

    @contextmanager
    def using(self, options: ModelOptions, threads: int) -> Iterator[Captioner]:
        """Give the captioner of these options, loading it if it is not there.

        Threads that caption with the same model in torch take turns: it is not made for several.

        Args:
            options: The model, and where it runs.
            threads: Threads of ONNX Runtime.

        Raises:
            CapgenError: As for `Captioner.from_options`.
        """
        loaded = self._get((options, threads))
        with loaded.turn:
            yield loaded.captioner

    def _get(self, key: _Key) -> _Loaded:
        with self._lock:
            loaded = self._loaded.pop(key, None)
            if loaded is None:
                while len(self._loaded) >= self._limit:
                    del self._loaded[next(iter(self._loaded))]
                options, threads = key
                captioner = Captioner.from_options(options, threads=threads)
                alone = captioner.runtime.name == "torch"
                loaded = _Loaded(captioner, Lock() if alone else nullcontext())
            self._loaded[key] = loaded  # the last used comes last
            return loaded

    def _begin_anew(self) -> None:
        """Forget the parent's captioners, and its lock, which another thread may have held."""
        self._parents.append(self._loaded)
        self._loaded, self._lock = {}, Lock()


CAPTIONERS = LoadedCaptioners()
