"""Captioners that stay loaded as long as their process, for functions that come and go.

Engines unpickle a function once for each task, and many tasks run in one process, one after the
other or side by side. Only what belongs to the process outlives a task, so the models are kept in
a module's variable. It holds few of them, and each is loaded once.
"""

from __future__ import annotations

import os
from threading import Lock

from capgen.captioning.captioner import Captioner
from capgen.config import ModelOptions

_Key = tuple[ModelOptions, int]


class LoadedCaptioners:
    """The captioners that were used last, at most `limit` of them. Thread-safe.

    A process that was forked off loads its own. The threads of ONNX Runtime are not copied, and
    those sessions wait for them when they end: so these are kept, unused, until the process ends.
    """

    def __init__(self, limit: int = 2) -> None:
        self._limit = limit
        self._lock = Lock()
        self._loaded: dict[_Key, Captioner] = {}
        self._parents: list[dict[_Key, Captioner]] = []
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin_anew)

    def get(self, options: ModelOptions, threads: int) -> Captioner:
        """Return the captioner of these options, loading it if it is not there.

        Args:
            options: The model, and where it runs.
            threads: Threads of ONNX Runtime.

        Raises:
            CapgenError: As for `Captioner.from_options`.
        """
        key = (options, threads)
        with self._lock:
            captioner = self._loaded.pop(key, None)
            if captioner is None:
                while len(self._loaded) >= self._limit:
                    del self._loaded[next(iter(self._loaded))]
                captioner = Captioner.from_options(options, threads=threads)
            self._loaded[key] = captioner  # the last used comes last
            return captioner

    def _begin_anew(self) -> None:
        """Forget the parent's captioners, and its lock, which another thread may have held."""
        self._parents.append(self._loaded)
        self._loaded, self._lock = {}, Lock()


CAPTIONERS = LoadedCaptioners()
