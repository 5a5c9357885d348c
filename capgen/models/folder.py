"""The model folder: what capgen reads from it without loading torch.

config.json  generation_config.json  model.safetensors
tokenizer.json (+ config)  preprocessor_config.json, or as transformers 5 saves processors:
                           processor_config.json
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
from capgen.models.kinds import SAFETENSORS_HINT, weights_format, without_config
from capgen.models.preprocessing.preprocess import FILE_NAME as PREPROCESSOR_FILE
from capgen.models.preprocessing.preprocess import Preprocessor
from capgen.models.provenance import PROVENANCE_FILE, Provenance

CARD_FILE = "README.md"
CONFIG_FILE = "config.json"
CALIBRATION_FILE = "calibration.json"
GENERATION_FILE = "generation_config.json"
PROCESSOR_FILE = "processor_config.json"
TOKENIZER_FILE = "tokenizer.json"
WEIGHTS_FILE = "model.safetensors"
WEIGHTS_INDEX_FILE = "model.safetensors.index.json"
ENCODER_GRAPH = "onnx/encoder.onnx"
DECODER_GRAPH = "onnx/decoder.onnx"
INT8 = "int8"
# Licence texts and notices, by patterns of their names.
NOTICE_FILES = ("LICENSE*", "LICENCE*", "NOTICE*")
RUN_SETTINGS_FILE = "config.toml"
# The model folders of a training run.
LAST, BEST_LOSS, BEST_EVAL = "last", "best-loss", "best-eval"
CHECKPOINTS = (LAST, BEST_LOSS, BEST_EVAL)
PICKLED_WEIGHTS = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "model.pth")


@dataclass(frozen=True)
class ModelFolder:
    """A captioner on disk.

    Args:
        path: The folder.
        name: What the user called it.
        revision: Commit of the repository it came from, or an empty string.
    """

    path: Path
    name: str
    revision: str = ""

    @property
    def config(self) -> dict[str, Any]:
        """Content of `config.json`.

        Raises:
            ModelError: It is missing or not JSON.
        """
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
        """How an image becomes the encoder's input.

        Raises:
            ModelError: Neither `preprocessor_config.json` nor a `processor_config.json` with an
                image processor in it is there, or it asks for unknown steps.
        """
        kind = str(self.config.get("model_type", ""))
        processor = self.read_json(PROCESSOR_FILE) if (self.path / PROCESSOR_FILE).is_file() else {}
        if isinstance(processor.get("image_processor"), Mapping):
            # Where both are there, this one counts in transformers, too.
            return Preprocessor.from_file(self.path / PROCESSOR_FILE, kind=kind)
        if not (self.path / PREPROCESSOR_FILE).is_file():
            raise ModelError(
                f"{self.path} has no {PREPROCESSOR_FILE}, nor a {PROCESSOR_FILE} with an image "
                "processor: how images are resized is unknown",
                hint="Save its image processor there, too: AutoImageProcessor.from_pretrained("
                "ORIGINAL).save_pretrained(FOLDER).",
            )
        return Preprocessor.from_file(self.path / PREPROCESSOR_FILE, kind=kind)

    @property
    def provenance(self) -> Provenance:
        """Content of `capgen.json`; empty for models from elsewhere."""
        if not (self.path / PROVENANCE_FILE).is_file():
            return Provenance()
        return Provenance.from_dict(self.read_json(PROVENANCE_FILE))

    @property
    def has_onnx(self) -> bool:
        """Whether the graphs for ONNX Runtime are here."""
        return (self.path / ENCODER_GRAPH).is_file() and (self.path / DECODER_GRAPH).is_file()

    @property
    def positions(self) -> int | None:
        """Most tokens the decoder has positions for, start and end included.

        Raises:
            ModelError: `config.json` is missing, damaged, or gives no number.
        """
        config = self.config
        decoder = config.get("decoder") or config.get("text_config") or config
        value = decoder.get("n_positions") or decoder.get("max_position_embeddings")
        if value is not None and not isinstance(value, int):
            raise ModelError(f"{self.path / CONFIG_FILE} has {value!r} positions")
        return value

    @cached_property
    def fingerprint(self) -> str:
        """What tells this model from any other: its commit, or `sha256:…` of its files.

        Raises:
            ModelError: A file cannot be read.
        """
        if self.revision:
            return self.revision
        texts = (CONFIG_FILE, GENERATION_FILE, PREPROCESSOR_FILE, PROCESSOR_FILE, TOKENIZER_FILE)
        files = (*(self.path / name for name in texts), *self.weight_files())
        return f"sha256:{files_digest(filter(Path.is_file, files), ModelError)[:16]}"

    def weight_files(self) -> list[Path]:
        """Return its files of weights, in a fixed order."""
        return sorted(self.path.glob("model*.safetensors"))

    def file_digests(self) -> dict[str, str]:
        """Return the SHA-256 of each file of weights and of the tokenizer, by name.

        These are what nothing rewrites: a Hub repository may add to the other files.

        Raises:
            ModelError: A file cannot be read.
        """
        files = (*self.weight_files(), self.path / TOKENIZER_FILE)
        return {file.name: file_digest(file, ModelError) for file in files if file.is_file()}

    def check_weights(self) -> None:
        """Check that the weights are there as safetensors.

        Raises:
            UnsafeModelError: There are pickled weights only.
            ModelError: There are none, or they are an int8 export's.
        """
        if self.provenance.export.get("precision") == INT8:
            raise ModelError(
                f"{self.name} is an int8 export, which only ONNX Runtime runs",
                hint=f"Leave out --runtime and --device, or use "
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
                f"{self.name} has its weights as a pickle ({pickled[0]}), which can run any code",
                hint="Convert it to safetensors in a sandbox (docs/hub.md), or ask its author to.",
            )
        form = weights_format(self._names())
        if form is not None:
            raise ModelError(
                f"{self.name} has its weights as {form}, not as safetensors", hint=SAFETENSORS_HINT
            )
        raise ModelError(f"{self.path} has no weights ({WEIGHTS_FILE})")

    def _names(self) -> list[str]:
        """Return the names of what is in the folder; none if it cannot be read."""
        try:
            return sorted(item.name for item in self.path.iterdir())
        except OSError:
            return []

    def _no_config(self) -> ModelError:
        """Return the error that says what a folder without `config.json` is."""
        names = self._names()
        other = without_config(names, self.read_json)
        if other is not None:
            return ModelError(f"{self.name} is {other.what}", hint=other.hint)
        inner = [name for name in names if (self.path / name / CONFIG_FILE).is_file()]
        return ModelError(
            f"{self.path} is not a model folder: it has no {CONFIG_FILE}",
            hint="Give a folder in it: " + ", ".join(inner)
            if inner
            else "Give a folder that `capgen train` or `save_pretrained` wrote.",
        )

    def _check_shards(self) -> None:
        """Check the files that the index of the weights names.

        Raises:
            UnsafeModelError: One is no safetensors file of this folder.
            ModelError: One is missing, or the index is damaged.
        """
        places = self.read_json(WEIGHTS_INDEX_FILE).get("weight_map")
        if not isinstance(places, dict):
            raise ModelError(f"{self.path / WEIGHTS_INDEX_FILE} has no weight_map")
        for name in sorted({str(place) for place in places.values()}):
            if "/" in name or "\\" in name or not name.endswith(".safetensors"):
                raise UnsafeModelError(
                    f"{self.path / WEIGHTS_INDEX_FILE} names {name!r}, "
                    "which is no safetensors file of its folder"
                )
            if not (self.path / name).is_file():
                raise ModelError(f"{self.path} lacks {name}, a part of its weights")

    def read_json(self, name: str) -> dict[str, Any]:
        """Return the content of one of its JSON files.

        Raises:
            ModelError: It cannot be read, or is not a JSON object.
        """
        return read_json(self.path / name, ModelError)
