"""The model folder: what capgen reads from it without loading torch.

config.json  generation_config.json  model.safetensors
tokenizer.json (+ config)  preprocessor_config.json, or processor_config.json as transformers 5
                           saves processors
concepts.json      what the concept head knows (only models that have one)
capgen.json        provenance (optional: folders from elsewhere have none)
onnx/…             graphs for ONNX Runtime (optional)
README.md          model card; LICENSE* and NOTICE* of what it was made from
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from capgen.digests import file_digest, files_digest
from capgen.errors import ModelError, UnsafeModelError
from capgen.json_files import read_json
from capgen.locks import Lock
from capgen.models.kinds import (
    follows_prompts,
    format_hint,
    weights_format,
    without_config,
)
from capgen.models.preprocessing.preprocess import FILE_NAME as PREPROCESSOR_FILE
from capgen.models.preprocessing.preprocess import Preprocessor
from capgen.models.provenance import PROVENANCE_FILE, Provenance

CARD_FILE = "README.md"
CONFIG_FILE = "config.json"
CALIBRATION_FILE = "calibration.json"
CONCEPTS_FILE = "concepts.json"
GENERATION_FILE = "generation_config.json"
PROCESSOR_FILE = "processor_config.json"
TOKENIZER_FILE = "tokenizer.json"
WEIGHTS_FILE = "model.safetensors"
WEIGHTS_INDEX_FILE = "model.safetensors.index.json"
ENCODER_GRAPH = "onnx/encoder.onnx"
DECODER_GRAPH = "onnx/decoder.onnx"
# The output of the encoder graph of a model with a concept head.
CONCEPT_LOGITS = "concept_logits"
INT8 = "int8"
# Patterns of the names of licence texts and notices.
NOTICE_FILES = ("LICENSE*", "LICENCE*", "NOTICE*")
RUN_SETTINGS_FILE = "config.toml"
RUN_EVENTS_FILE = "events.jsonl"
RUN_ENVIRONMENT_FILE = "environment.json"
# Locked by the process that trains in the run's folder.
RUN_LOCK_FILE = ".training.lock"
# The model folders of a training run.
LAST, BEST_LOSS, BEST_EVAL = "last", "best-loss", "best-eval"
CHECKPOINTS = (LAST, BEST_LOSS, BEST_EVAL)
PICKLED_WEIGHTS = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "model.pth")


@dataclass(frozen=True)
class ModelFolder:
    """A captioner on disk.

    Args:
        path: The folder.
        name: The user's name for it.
        revision: Commit of the repository it came from, or an empty string.
    """

    path: Path
    name: str
    revision: str = ""

    @property
    def config(self) -> dict[str, Any]:
        """Content of `config.json`; raises ModelError if it is missing or not JSON."""
        if not (self.path / CONFIG_FILE).is_file():
            raise self._no_config()
        return self.read_json(CONFIG_FILE)

    @property
    def generation(self) -> dict[str, Any]:
        """Content of `generation_config.json`, or the generation part of `config.json`."""
        if (self.path / GENERATION_FILE).is_file():
            return self.read_json(GENERATION_FILE)
        keys = ("decoder_start_token_id", "bos_token_id", "eos_token_id", "pad_token_id")
        config = self.config
        legacy = ("max_length", "num_beams", "length_penalty", "no_repeat_ngram_size")
        return {key: config[key] for key in (*keys, *legacy) if config.get(key) is not None}

    @property
    def preprocessor(self) -> Preprocessor:
        """How an image becomes the encoder's input; raises ModelError if that is unknown."""
        kind = str(self.config.get("model_type", ""))
        return Preprocessor.from_file(self.image_processor_file(), kind=kind)

    def image_processor_file(self) -> Path:
        """Return the file with the settings of its image processor; raise ModelError if none."""
        processor = self.read_json(PROCESSOR_FILE) if (self.path / PROCESSOR_FILE).is_file() else {}
        if isinstance(processor.get("image_processor"), Mapping):
            # If there are both, transformers also uses this one.
            return self.path / PROCESSOR_FILE
        if not (self.path / PREPROCESSOR_FILE).is_file():
            raise ModelError(
                f"{self.path} has no {PREPROCESSOR_FILE}, nor a {PROCESSOR_FILE} with an image "
                "processor, so capgen does not know how to resize images",
                hint="Save its image processor there: AutoImageProcessor.from_pretrained("
                "ORIGINAL).save_pretrained(FOLDER).",
            )
        return self.path / PREPROCESSOR_FILE

    @property
    def provenance(self) -> Provenance:
        """Content of `capgen.json`; empty for models from elsewhere."""
        if not (self.path / PROVENANCE_FILE).is_file():
            return Provenance()
        return Provenance.from_dict(self.read_json(PROVENANCE_FILE))

    @property
    def has_onnx(self) -> bool:
        """Whether it holds graphs for ONNX Runtime."""
        return (self.path / ENCODER_GRAPH).is_file() and (self.path / DECODER_GRAPH).is_file()

    @property
    def positions(self) -> int | None:
        """Number of tokens the decoder has positions for, start and end included."""
        config = self.config
        decoder = config.get("decoder") or config.get("text_config") or config
        value = decoder.get("n_positions") or decoder.get("max_position_embeddings")
        if value is not None and not isinstance(value, int):
            raise ModelError(
                f"{self.path / CONFIG_FILE}: the number of positions is {value!r}, not an integer"
            )
        return value

    @cached_property
    def fingerprint(self) -> str:
        """Identifies the model: its commit, or `sha256:…` of its files."""
        if self.revision:
            return self.revision
        texts = [CONFIG_FILE, GENERATION_FILE, PREPROCESSOR_FILE, PROCESSOR_FILE, TOKENIZER_FILE]
        texts += [CONCEPTS_FILE]
        if follows_prompts(self.config):
            # Their chat templates, and their own code.
            texts += ["tokenizer_config.json", "chat_template.json", "chat_template.jinja"]
            texts += sorted(path.name for path in self.path.glob("*.py"))
        files = (*(self.path / name for name in texts), *self.weight_files())
        return f"sha256:{files_digest(filter(Path.is_file, files), ModelError)[:16]}"

    def weight_files(self) -> list[Path]:
        """Return its weight files, in a fixed order."""
        return sorted(self.path.glob("model*.safetensors"))

    def file_digests(self) -> dict[str, str]:
        """Return the SHA-256 of the weight files, the tokenizer and the concepts, by name.

        Nothing rewrites these; a Hub repository may add to the other files.
        """
        files = (*self.weight_files(), self.path / TOKENIZER_FILE, self.path / CONCEPTS_FILE)
        return {file.name: file_digest(file, ModelError) for file in files if file.is_file()}

    def check_weights(self) -> None:
        """Check that there are safetensors weights that torch can load.

        Raises:
            UnsafeModelError: The only weights are pickled.
            ModelError: There are no weights, or the model is an int8 export.
        """
        if self.provenance.export.get("precision") == INT8:
            raise ModelError(
                f"{self.name} is an int8 export, which only ONNX Runtime can run",
                hint="Omit --runtime and --device, or use "
                f"{self.provenance.export.get('source', 'the model it was made from')}.",
            )
        if (self.path / WEIGHTS_FILE).is_file():
            return
        if (self.path / WEIGHTS_INDEX_FILE).is_file():
            self._check_shards()
            return
        pickled = [name for name in PICKLED_WEIGHTS if (self.path / name).is_file()]
        if pickled:
            raise UnsafeModelError(
                f"{self.name} has pickled weights ({pickled[0]}), which can run any code",
                hint="Convert it to safetensors in a sandbox (docs/hub.md), or ask its author to.",
            )
        names = self._names()
        form = weights_format(names)
        if form is not None:
            raise ModelError(
                f"{self.name} has weights in {form}, not in safetensors", hint=format_hint(names)
            )
        raise ModelError(f"{self.path} has no weights ({WEIGHTS_FILE})")

    def _names(self) -> list[str]:
        """Return the names in the folder, or none if it cannot be read."""
        try:
            return sorted(item.name for item in self.path.iterdir())
        except OSError:
            return []

    def _no_config(self) -> ModelError:
        """Return an error that says what a folder without `config.json` is."""
        names = self._names()
        if other := without_config(names, self.read_json):
            return ModelError(f"{self.name} is {other.what}", hint=other.hint)
        inner = [name for name in names if (self.path / name / CONFIG_FILE).is_file()]
        return ModelError(
            f"{self.path} is not a model folder: it has no {CONFIG_FILE}",
            hint="Use a folder inside it: " + ", ".join(inner)
            if inner
            else "Use a folder written by `capgen train` or `save_pretrained`.",
        )

    def _check_shards(self) -> None:
        """Check that the index of the weights names safetensors files of this folder only."""
        weight_map = self.read_json(WEIGHTS_INDEX_FILE).get("weight_map")
        if not isinstance(weight_map, dict):
            raise ModelError(f"{self.path / WEIGHTS_INDEX_FILE} has no weight_map")
        for name in sorted(set(map(str, weight_map.values()))):
            if "/" in name or "\\" in name or not name.endswith(".safetensors"):
                raise UnsafeModelError(
                    f"{self.path / WEIGHTS_INDEX_FILE} names {name!r}, "
                    "which is not a safetensors file in its folder"
                )
            if not (self.path / name).is_file():
                raise ModelError(f"{self.path} lacks {name}, which holds part of its weights")

    def read_json(self, name: str) -> dict[str, Any]:
        """Return a JSON file's object; raise ModelError if that cannot be read."""
        return read_json(self.path / name, ModelError)


def being_trained(run: Path) -> bool:
    """Return whether a process trains in a run's folder, on this machine or where it is mounted."""
    if not (run / RUN_LOCK_FILE).exists():
        return False
    lock = Lock(run / RUN_LOCK_FILE)
    free = lock.take()
    lock.release()
    return not free
