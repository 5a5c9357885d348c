"""What goes wrong in a step, in the user's words."""

from __future__ import annotations

from capgen.errors import TrainingError
from capgen.models.foreign_errors import first_line
from capgen.models.out_of_memory import is_out_of_memory


def is_of_compiler(error: RuntimeError) -> bool:
    """Whether torch.compile raised an error."""
    from torch._dynamo.exc import TorchDynamoException  # takes a second to import

    return isinstance(error, TorchDynamoException) and not is_out_of_memory(error)


def not_compiled(error: RuntimeError) -> TrainingError:
    """Return the error of an encoder that cannot be compiled."""
    return TrainingError(
        f"torch.compile cannot compile the encoder here ({first_line(error)})",
        hint="Leave out --compile: it only saves time.",
    )


def diverged(what: str, step: int) -> TrainingError:
    """Return the error of a run whose numbers are not finite any more."""
    return TrainingError(
        f"{what} by step {step}: training diverged",
        hint="Lower --learning-rate or use --precision fp32. Checkpoints saved before are good.",
    )


def out_of_memory(images: int) -> TrainingError:
    """Return the error of a pass over `images` images that cannot be made smaller."""
    return TrainingError(
        f"The device ran out of memory with {images} images per pass",
        hint="Try a smaller --batch-size with more --accumulation, "
        "--gradient-checkpointing or --precision bf16.",
    )
