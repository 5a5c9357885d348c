"""Counts what would be sent to a server, and sends nothing."""

from __future__ import annotations

from collections.abc import Sequence
from queue import SimpleQueue
from typing import Self

import numpy as np

from capgen.captioning.endpoint.address import Address
from capgen.captioning.endpoint.client import UNAVAILABLE, Client
from capgen.captioning.endpoint.endpoint_runtime import EndpointRuntime
from capgen.captioning.endpoint.served_model import ServedModel, connect
from capgen.captioning.runtimes.base import Generated, ModelInput, NoCaption
from capgen.config import DecodeSettings, EndpointOptions, ModelOptions
from capgen.errors import NetworkError


class CountingRuntime(EndpointRuntime):
    """Counts images and the bytes of their requests (`total`); captions none of them."""

    code = UNAVAILABLE

    def __init__(
        self, client: Client, model: str, options: EndpointOptions, *, system: str = ""
    ) -> None:
        super().__init__(client, model, options, system=system)
        self.where = _where(client.address)
        # In one place, for this runtime and for those that `until` makes of it.
        self._counted: SimpleQueue[int] = SimpleQueue()

    def total(self) -> tuple[int, int]:
        """Return the numbers of images and of bytes since the last call."""
        sizes = [self._counted.get() for _ in range(self._counted.qsize())]
        return len(sizes), sum(sizes)

    @classmethod
    def at(cls, options: ModelOptions) -> tuple[Self, ServedModel]:
        """Return a runtime that counts for the server that options name, and its model."""
        model, runtime = connect(options, ask=False)
        return cls(runtime.client, model.name, options, system=options.system or ""), model

    def generate(self, inputs: Sequence[ModelInput], settings: DecodeSettings) -> Generated:
        """Count prepared images; none gets a caption."""
        for image in inputs:
            self._counted.put(len(self.request(image, settings)))
        return Generated(
            hypotheses=[[] for _ in inputs],
            summarise=lambda: np.zeros((len(inputs), 1), np.float32),
            failures={n: NoCaption(UNAVAILABLE, "not sent") for n in range(len(inputs))},
        )


def _where(address: Address) -> str:
    try:
        public = address.public()
    except NetworkError:
        return "unknown host"
    return public or "this machine or a private network"
