"""The model's input, by image number: augmented pixels or cached features."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from capgen.config import TrainConfig
from capgen.models.preprocessing.preprocess import Preprocessor
from capgen.training.data.augment import augment
from capgen.training.data.images import normalizer
from capgen.training.data.transfer import to_device

# Share of a GPU's free memory that images may take.
_DEVICE_SHARE = 0.4


class Inputs(Protocol):
    """The images of a split."""

    def __len__(self) -> int: ...

    def batch(self, numbers: Tensor, generator: Generator | None = None) -> Tensor:
        """Return the model's input for the images `numbers`, on the device.

        Args:
            numbers: int64 (B,) on the CPU.
            generator: For augmentation; None gives the images as they are.
        """
        ...


class RowInputs(Inputs, Protocol):
    """Images whose input is made of rows of an array."""

    def raw(self, numbers: Tensor) -> Tensor:
        """Return the rows of the images `numbers`, on the device."""
        ...

    def finish(self, raw: Tensor, generator: Generator | None = None) -> Tensor:
        """Make the model's input of rows."""
        ...


class ImageInputs:
    """Pixels (B, 3, H, W) float32, from decoded images.

    Args:
        pixels: uint8 (R, H, W, 3); kept on a GPU where they fit.
        preprocessor: The model's, for the normalisation.
        config: Augmentation.
        device: Where batches go.
        rows: Row of `pixels` for each image, int64 (N,); None is one per image, in order.
    """

    def __init__(
        self,
        pixels: NDArray[Any],
        preprocessor: Preprocessor,
        config: TrainConfig,
        device: torch.device,
        rows: NDArray[np.int64] | None = None,
    ) -> None:
        self.rows = _Rows(pixels, device)
        self.places = torch.from_numpy(np.arange(len(pixels)) if rows is None else rows)
        self.config = config
        self.augments = config.augments
        scale, shift = (torch.from_numpy(part) for part in normalizer(preprocessor))
        self.scale = scale.view(1, 3, 1, 1).to(device)
        self.shift = shift.view(1, 3, 1, 1).to(device)

    def __len__(self) -> int:
        return len(self.places)

    def batch(self, numbers: Tensor, generator: Generator | None = None) -> Tensor:
        return self.finish(self.raw(numbers), generator)

    def raw(self, numbers: Tensor) -> Tensor:
        return self.rows.take(self.places[numbers])

    def finish(self, raw: Tensor, generator: Generator | None = None) -> Tensor:
        pixels = raw.permute(0, 3, 1, 2).float()
        if generator is not None and self.augments:
            pixels = augment(pixels, self.config, generator)
        # Convolutions on GPUs are fastest with channels last.
        return (pixels * self.scale + self.shift).contiguous(memory_format=torch.channels_last)


class FeatureInputs:
    """Cached features (B, …) float32, which are never augmented.

    Args:
        features: float16 (N, …); kept on a GPU where it fits.
        device: Where batches go.
        rows: Row of `features` for each image, int64 (N,); None is one per image, in order.
    """

    def __init__(
        self,
        features: NDArray[Any],
        device: torch.device,
        rows: NDArray[np.int64] | None = None,
    ) -> None:
        self.rows = _Rows(features, device)
        self.places = torch.from_numpy(np.arange(len(features)) if rows is None else rows)

    def __len__(self) -> int:
        return len(self.places)

    def batch(self, numbers: Tensor, generator: Generator | None = None) -> Tensor:
        return self.finish(self.raw(numbers), generator)

    def raw(self, numbers: Tensor) -> Tensor:
        return self.rows.take(self.places[numbers])

    def finish(self, raw: Tensor, generator: Generator | None = None) -> Tensor:
        return raw.float()


class NoImages:
    """A state of zeros (B, 1, E) float32 in place of each image, for learning from text alone.

    Args:
        count: How many there are.
        width: Width of the encoder's states, E.
        device: Where batches go.
    """

    def __init__(self, count: int, width: int, device: torch.device) -> None:
        self.count = count
        self.width = width
        self.device = device

    def __len__(self) -> int:
        return self.count

    def batch(self, numbers: Tensor, generator: Generator | None = None) -> Tensor:
        return torch.zeros(len(numbers), 1, self.width, device=self.device)


class JoinedInputs:
    """The images of several data sets, numbered one set after the other.

    Args:
        parts: Those of each set. The first makes the model's input of all rows, so that a batch
            takes as long as one from a single set.
    """

    def __init__(self, parts: Sequence[RowInputs]) -> None:
        self.parts = parts
        self.starts = torch.tensor([0, *accumulate(len(part) for part in parts)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def batch(self, numbers: Tensor, generator: Generator | None = None) -> Tensor:
        owner = torch.bucketize(numbers, self.starts[1:], right=True)
        taken, places = [], []
        for index in sorted(set(owner.tolist())):
            own = (owner == index).nonzero().flatten()
            taken.append(self.parts[index].raw(numbers[own] - self.starts[index]))
            places.append(own)
        rows = taken[0]
        if len(taken) > 1:
            back = to_device(torch.cat(places).argsort(), rows.device)
            rows = torch.cat(taken).index_select(0, back)
        return self.parts[0].finish(rows, generator)


def placed_rows(
    rows: NDArray[np.int64], numbers: NDArray[np.int64], count: int, nowhere: int
) -> NDArray[np.int64]:
    """Return the row of each of `count` images: `rows` for `numbers`, `nowhere` for others.

    `nowhere` is no row, so that asking for an image that is not there fails.
    """
    placed = np.full(count, nowhere, dtype=np.int64)
    placed[numbers] = rows
    return placed


class _Rows:
    """Rows of an array, on the GPU if there is one with enough memory."""

    def __init__(self, array: NDArray[Any], device: torch.device) -> None:
        self.device = device
        self.data = torch.from_numpy(array)
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            if array.nbytes <= _DEVICE_SHARE * free:
                self.data = self.data.to(device)

    def __len__(self) -> int:
        return self.data.shape[0]

    def take(self, numbers: Tensor) -> Tensor:
        if self.data.device.type == "cuda":
            return self.data[to_device(numbers, self.device)]
        return to_device(self.data[numbers], self.device)
