"""What identifies the model of a captioner, wherever it runs."""

from __future__ import annotations

from typing import Protocol


class CaptionModel(Protocol):
    """What identifies the model that captions: a folder of it, or one on a server.

    Attributes:
        name: The name it was loaded by.
        revision: Commit of its repository, or the address of its server; may be empty.
        fingerprint: Changes when its files do.
    """

    @property
    def name(self) -> str: ...

    @property
    def revision(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...
