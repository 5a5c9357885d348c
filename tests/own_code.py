"""A tiny model with its own code, as Moondream has it, of a kind unknown to transformers."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tests.tiny_prompted import WIDTH, text_config, tokenizer

CODE = """
from pathlib import Path

import numpy as np
import torch
from transformers import (
    AutoTokenizer, BatchFeature, GenerationMixin, LlamaConfig, LlamaForCausalLM, PreTrainedConfig,
    PreTrainedModel, ProcessorMixin,
)

Path(__file__).with_name("ran").touch()


class TinyMoonConfig(PreTrainedConfig):
    model_type = "tinymoon"
    sub_configs = {"text_config": LlamaConfig}

    def __init__(self, text_config=None, **rest):
        self.text_config = LlamaConfig(**(text_config or {}))
        super().__init__(**rest)


class TinyMoonProcessor(ProcessorMixin):
    def __init__(self, tokenizer):
        super().__init__(tokenizer)
        self.image_token = "<image>"

    def __call__(self, images, text, return_tensors="pt", **options):
        edge = [np.asarray(each.resize((8, 8)), np.float32) / 127.5 - 1 for each in images]
        pixels = torch.from_numpy(np.stack(edge)).flatten(1)
        return BatchFeature({**self.tokenizer(text, return_tensors="pt"), "pixel_values": pixels})


class TinyMoon(PreTrainedModel, GenerationMixin):
    config_class = TinyMoonConfig
    _tied_weights_keys = {}

    def __init__(self, config):
        super().__init__(config)
        self.see = torch.nn.Linear(192, config.text_config.hidden_size)
        self.text = LlamaForCausalLM(config.text_config)
        self.post_init()

    def generate(self, input_ids, attention_mask, pixel_values, **options):
        words = self.text.get_input_embeddings()(input_ids)
        seen = self.see(pixel_values)[:, None]
        mask = torch.cat([attention_mask[:, :1], attention_mask], 1)
        return self.text.generate(
            inputs_embeds=torch.cat([seen, words], 1), attention_mask=mask, **options
        )
"""


def moondream_like(folder: Path) -> Path:
    """Save such a model; a file `ran` appears beside its code when that runs."""
    folder.mkdir(parents=True)
    words = tokenizer("<image>")
    words.save_pretrained(folder)
    text = LlamaConfig(**text_config(len(words)))
    torch.manual_seed(0)
    model = LlamaForCausalLM(text)
    see = torch.nn.Linear(192, WIDTH)
    weights = {f"text.{name}": value for name, value in model.state_dict().items()}
    weights |= {f"see.{name}": value for name, value in see.state_dict().items()}
    from safetensors.torch import save_file

    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "moon.py").write_text(CODE)
    mapped = {"AutoConfig": "moon.TinyMoonConfig", "AutoModelForCausalLM": "moon.TinyMoon"}
    config = {
        "model_type": "tinymoon",
        "architectures": ["TinyMoon"],
        "auto_map": mapped,
        "text_config": text.to_dict(),
    }
    (folder / "config.json").write_text(json.dumps(config))
    processor = {"auto_map": {"AutoProcessor": "moon.TinyMoonProcessor"}}
    (folder / "processor_config.json").write_text(
        json.dumps({"processor_class": "TinyMoonProcessor", **processor})
    )
    return folder
