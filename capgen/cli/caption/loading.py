"""Loads the captioner of `capgen caption`, which must give concepts if there are to be tags."""

from __future__ import annotations

from capgen.addresses import without_credentials
from capgen.captioning.captioner import Captioner
from capgen.config import ModelOptions, TagOptions
from capgen.errors import UsageError
from capgen.models.concept_table import has_lost_concepts
from capgen.models.folder import CONCEPTS_FILE


def check_tags(model: ModelOptions, tags: TagOptions) -> None:
    """Raise UsageError if there are to be tags of a model on a server: these give no concepts."""
    if tags.tags and model.served:
        raise _no_concepts(model, without_credentials(model.endpoint or model.model or ""), True)


def load_captioner(
    model: ModelOptions, tags: TagOptions, *, threads: int | None = None
) -> Captioner:
    """Load the captioner that options name.

    Raises:
        UsageError: There are to be tags, and the model gives no concepts.
    """
    captioner = Captioner.from_options(model, threads=threads)
    if tags.tags and not captioner.runtime.gives_concepts:
        # Only pixel models, which are folders, have such heads.
        if not captioner.runtime.answers and has_lost_concepts(captioner.folder):
            raise UsageError(
                f"--tags needs {CONCEPTS_FILE}, which {captioner.name} has lost: without it nobody "
                "knows what its concept head sees",
                hint="Get the model again, or copy the file from the original.",
            )
        raise _no_concepts(model, captioner.name, captioner.runtime.answers)
    return captioner


def _no_concepts(model: ModelOptions, name: str, answers: bool) -> UsageError:
    hint = "Leave out --tags"
    if answers:
        hint += ", or ask this model for tags instead of captions: --prompt tags"
    elif model.model is not None:
        hint += ", or --model: the bundled model has one"
    return UsageError(f"--tags needs a model with a concept head: {name} has none", hint=f"{hint}.")
