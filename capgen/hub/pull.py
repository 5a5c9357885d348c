"""Pull a model: download it, check it, and pin its commit."""

from __future__ import annotations

import datetime

from capgen.digests import file_digest
from capgen.errors import ModelError, UsageError
from capgen.hub_client.pulled import PulledModel
from capgen.models.adapters import ADAPTER_WEIGHTS, base_name, is_adapter
from capgen.models.fetch import fetch
from capgen.models.folder import ModelFolder
from capgen.models.hub_files import Limits
from capgen.models.kinds import CAPTIONER_KINDS, check_captioner, follows_prompts
from capgen.models.resolve import hub_name
from capgen.models.safetensors_index import read_index


def pull_model(
    name: str,
    *,
    revision: str | None = None,
    trust_remote_code: bool = False,
    limits: Limits | None = None,
) -> PulledModel:
    """Download a model into Hugging Face's cache and record its commit.

    From then on its bare name means this commit, online and offline.

    Args:
        name: `USER/NAME` or the short name of a known model, with an optional `@REVISION`.
        revision: Branch, tag or commit.
        trust_remote_code: Also download its Python files.
        limits: The largest sizes to accept.

    Raises:
        ModelNotFoundError: The repository or revision does not exist, or is not a model.
        UnsafeModelError: All its weights are pickles, or a file name leads out of its folder.
        ModelError: It is too large, damaged, or incomplete.
        NetworkError: The Hub cannot be reached.
        UsageError: Two revisions were given, or the token has invalid characters.
    """
    identifier, _, tag = hub_name(name).partition("@")
    if tag and revision:
        raise UsageError(f"{name} and --revision {revision} give two revisions; give only one")
    asked = revision or tag or None
    folder = fetch(
        identifier, asked, trust_remote_code=trust_remote_code, limits=limits, recheck=True
    )
    check_whole(folder)
    record = PulledModel(
        identifier=identifier,
        commit=folder.revision,
        asked=asked or "main",
        pulled=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        files={
            file.relative_to(folder.path).as_posix(): {
                "size": file.stat().st_size,
                "sha256": file_digest(file, ModelError),
            }
            for file in sorted(folder.path.rglob("*"))
            if file.is_file()
        },
        code=trust_remote_code,
    )
    record.write()
    return record


def check_whole(folder: ModelFolder) -> None:
    """Check that a model is complete and its weights are safe, without loading it."""
    if is_adapter(folder.path):
        base_name(folder.path, folder.name)
        read_index(folder.path / ADAPTER_WEIGHTS)
        return
    _ = folder.config
    folder.check_weights()
    for file in sorted(folder.path.glob("model*.safetensors")):
        read_index(file)
    try:
        _check_parts(folder)
    except ModelError:
        # If it is another kind of model, which lacks the part by design, say that instead.
        check_captioner(folder.name, folder.config, trust_remote_code=True)
        raise


def _check_parts(folder: ModelFolder) -> None:
    """Check that a model has a tokenizer, and images can be prepared for it."""
    tokenizers = ("tokenizer.json", "vocab.json", "vocab.txt")
    if not any((folder.path / name).is_file() for name in tokenizers):
        raise ModelError(f"{folder.name} has no tokenizer ({tokenizers[0]})")
    config = folder.config
    ours = config.get("model_type") in CAPTIONER_KINDS
    if ours or not (follows_prompts(config) or "auto_map" in config):
        _ = folder.preprocessor
    # Other captioners have a processor of their own, whose settings capgen need not understand.
