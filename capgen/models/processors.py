"""Loading the processor of a model that prepares images and prompts itself.

The image processors are those that Pillow computes, whether torchvision is installed or not, so
that captions do not depend on it. Processors that also prepare videos are built without that
part, which would need torchvision.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import wraps
from importlib import import_module
from typing import Any

from transformers import AutoConfig, AutoProcessor, AutoTokenizer

# transformers 5.17 itself exports a stand-in that asks for torchvision.
from transformers.models.auto.configuration_auto import model_type_to_module_name
from transformers.models.auto.image_processing_auto import AutoImageProcessor
from transformers.models.auto.processing_auto import (
    PROCESSOR_MAPPING_NAMES,
    processor_class_from_name,
)
from transformers.processing_utils import ProcessorMixin
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from capgen.errors import ModelError
from capgen.models.folder import PROCESSOR_FILE, ModelFolder
from capgen.models.loading import load_tokenizer, reported
from capgen.models.preprocessing.preprocess import FILE_NAME as PREPROCESSOR_FILE

_TOKENIZER_SETTINGS = "tokenizer_config.json"
_VIDEOS = "video_processor"
_PACKAGES = ("torchvision", "num2words", "torchaudio", "librosa", "sentencepiece")


def load_processor(folder: ModelFolder, *, own_code: bool = False) -> Any:
    """Load the processor of a folder, without any part for videos.

    Args:
        folder: The model folder.
        own_code: Run the processor's own code; the caller has the user's consent.

    Raises:
        ModelError: It is missing or damaged, or needs a package that is not installed.
    """
    with reported(f"{folder.name} has no usable processor"):
        try:
            return _own(folder) if own_code else _assembled(folder)
        except ImportError as error:
            package = next((name for name in _PACKAGES if name in str(error)), None)
            if package is None:
                raise
            raise ModelError(
                f"{folder.name}: its processor needs the package {package}",
                hint="pip install 'capgen[vlm]'"
                if package == "num2words"
                else f"pip install {package}",
            ) from error


def _own(folder: ModelFolder) -> Any:
    """Load a processor with its own code."""
    made = AutoProcessor.from_pretrained(folder.path, local_files_only=True, trust_remote_code=True)
    if isinstance(made, PreTrainedTokenizerBase):  # what there is in place of a processor
        raise ModelError(
            f"{folder.name} has no processor: only its own code knows how to prepare an image",
            hint="capgen runs models with a processor for AutoProcessor. Or run this one in a "
            "server, and use --endpoint.",
        )
    return made


def _assembled(folder: ModelFolder) -> Any:
    """Build a processor of transformers from parts that are loaded one by one."""
    kind = _processor_class(folder)
    parts = kind.get_attributes()
    settings, _ = kind.get_processor_dict(folder.path, local_files_only=True)
    loaded = [_part(folder, name) for name in parts]
    without = _without_videos(kind) if _VIDEOS in parts else kind
    processor = without.from_args_and_dict(loaded, settings)
    _complete(processor, folder.config)
    return processor


def _complete(processor: Any, config: Mapping[str, Any]) -> None:
    """Fill in what processors know of the model, and were saved without before transformers 4.48.

    Without it they cannot say how many tokens an image takes.
    """
    vision = config.get("vision_config")
    vision = vision if isinstance(vision, Mapping) else {}
    if getattr(processor, "patch_size", 0) is None and isinstance(vision.get("patch_size"), int):
        processor.patch_size = vision["patch_size"]
        # The class token, which "default" leaves out again.
        if vision.get("model_type") == "clip_vision_model":
            processor.num_additional_image_tokens = 1
    for name in ("vision_feature_select_strategy", "num_query_tokens"):
        if getattr(processor, name, "") is None and name in config:
            setattr(processor, name, config[name])


def _processor_class(folder: ModelFolder) -> Any:
    """Return the class of a folder's processor: the files name it, or the model's kind does."""
    names = (PROCESSOR_FILE, PREPROCESSOR_FILE, _TOKENIZER_SETTINGS)
    found = [folder.read_json(name) for name in names if (folder.path / name).is_file()]
    named = [str(each["processor_class"]) for each in found if each.get("processor_class")]
    kind = str(folder.config.get("model_type"))
    for name in (*named, PROCESSOR_MAPPING_NAMES.get(kind)):
        known = None if name is None else processor_class_from_name(name)
        if known is not None:
            return known
    raise ModelError(
        f"{folder.name} has no processor that transformers knows"
        + (f" ({named[0]})" if named else f": a '{kind}' model needs a {PROCESSOR_FILE}"),
        hint="Save its processor there: AutoProcessor.from_pretrained(ORIGINAL)"
        ".save_pretrained(FOLDER).",
    )


def _part(folder: ModelFolder, name: str) -> Any:
    """Load a part of a processor by its name."""
    if name == _VIDEOS:
        return NoVideos()
    if name == "image_processor":
        return _image_processor(folder)
    if name == "tokenizer":
        return load_tokenizer(folder)
    if name.endswith("tokenizer"):
        inner = folder.path / name
        place = inner if inner.is_dir() else folder.path
        # A config beside the tokenizer would say what it is; without one its files do.
        config = AutoConfig.from_pretrained(place) if (place / "config.json").is_file() else None
        return AutoTokenizer.from_pretrained(place, config=config, local_files_only=True)
    raise ModelError(
        f"{folder.name}: its processor has a part that capgen does not load ({name})",
        hint="Models that hear are not supported.",
    )


def _image_processor(folder: ModelFolder) -> Any:
    """Load the image processor that Pillow computes."""
    folder.image_processor_file()
    try:
        return AutoImageProcessor.from_pretrained(folder.path, backend="pil", local_files_only=True)
    except (ValueError, ImportError) as error:
        # transformers 5.17 does not find those of Idefics 3 and SmolVLM without torchvision.
        module = model_type_to_module_name(str(folder.config.get("model_type")))
        try:
            found = import_module(f"transformers.models.{module}.image_processing_pil_{module}")
        except ImportError:
            raise error from None
        kinds = [kind for name, kind in vars(found).items() if name.endswith("ImageProcessorPil")]
        return kinds[0].from_pretrained(folder.path, local_files_only=True)


class NoVideos(dict[str, Any]):
    """In place of the part of a processor for videos: no settings; what is asked of it is None.

    It is a mapping because processors print themselves as JSON when they are made.
    """

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


def _without_videos(kind: Any) -> Any:
    """Return a processor class that takes `NoVideos`."""

    class Still(kind):
        def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
            if isinstance(argument, NoVideos):
                return NoVideos
            return super().check_argument_for_proper_class(argument_name, argument)

    Still.__name__ = Still.__qualname__ = kind.__name__
    return Still


class SharedTokenizer:
    """A tokenizer that threads share, one call at a time.

    Tokenizers change their own settings for a call, and fail in one thread while another does.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._lock = threading.RLock()

    def __call__(self, *args: Any, **options: Any) -> Any:
        with self._lock:
            return self._tokenizer(*args, **options)

    def __len__(self) -> int:
        return len(self._tokenizer)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._tokenizer, name)
        return self._locked(value) if callable(value) else value

    def _locked(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            with self._lock:
                return function(*args, **options)

        return call


def share_tokenizers(processor: Any) -> None:
    """Make a processor safe to use in several threads; its image processor is anyway."""
    if isinstance(processor, ProcessorMixin):
        for name in processor.get_attributes():
            if name.endswith("tokenizer"):
                setattr(processor, name, SharedTokenizer(getattr(processor, name)))
