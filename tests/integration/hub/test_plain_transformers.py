"""Pushed models load without capgen, in a process that cannot import it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from capgen import Captioner
from capgen.hub.push import plan_push, push_model
from capgen.models.folder import ModelFolder
from capgen.models.resolve import resolve_model
from tests.fakes import draw_image
from tests.hub_stand_in import Hub
from tests.integration.hub.pushing import TOKEN

OPTIONS = ({}, {"num_beams": 1}, {"num_beams": 4, "temperature": 0.7, "max_length": 9})
WITHOUT_CAPGEN = """
import json, sys
sys.modules["capgen"] = None
import torch
from PIL import Image
from transformers import AutoModel, AutoTokenizer, VisionEncoderDecoderModel
# In transformers 5.17 the name at the top asks for torchvision, without need.
from transformers.models.auto.image_processing_auto import AutoImageProcessor

images, options = json.loads(sys.argv[1]), json.loads(sys.argv[2])
said = {}
for name in ("me/mini", "me/clip", "me/concepts"):
    model = AutoModel.from_pretrained(name, trust_remote_code=True)
    said[name] = [[model.generate_caption(p, **o) for p in images] for o in options]
    said[name + " as a list"] = model.generate_caption([Image.open(p) for p in images])
    drawn = {model.generate_caption(images[0], temperature=1.9) for _ in range(8)}
    said[name + " drawn"] = len(drawn)
    said[name + " tokenizer"] = AutoTokenizer.from_pretrained(name).eos_token
model = VisionEncoderDecoderModel.from_pretrained("me/clip", dtype=torch.float32)
processor = AutoImageProcessor.from_pretrained("me/clip", backend="pil")
tokenizer = AutoTokenizer.from_pretrained("me/clip")
said["plain"] = []
for image in images:
    pixels = processor(Image.open(image).convert("RGB"), return_tensors="pt").pixel_values
    ids = model.generate(pixels)[0]
    said["plain"].append(tokenizer.decode(ids, skip_special_tokens=True).strip())
print(json.dumps(said))
"""


def test_the_same_captions_in_both_ways(
    hub: Hub, clip: ModelFolder, concepts_model: Path, tmp_path: Path
) -> None:
    push_model(plan_push(resolve_model("mini"), "me/mini"), TOKEN)
    push_model(plan_push(clip, "me/clip"), TOKEN)
    concepts = ModelFolder(concepts_model, "concepts")
    plan = plan_push(concepts, "me/concepts")
    assert "concepts.json" in [file.name for file in plan.files]
    push_model(plan, TOKEN)
    names = [str(tmp_path / f"{number}.png") for number in range(3)]
    for number, name in enumerate(names):
        # No JPEG: capgen decodes those at a smaller scale, which a model of chance weights shows.
        draw_image(number).save(name)
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_TOKEN": TOKEN,
    }
    arguments = [sys.executable, "-P", "-c", WITHOUT_CAPGEN, json.dumps(names), json.dumps(OPTIONS)]
    done = subprocess.run(arguments, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    models = {"me/mini": "mini", "me/clip": clip.path, "me/concepts": concepts.path}
    for name, model in models.items():
        captioner = Captioner.from_pretrained(model)
        for options, found in zip(OPTIONS, said[name], strict=True):
            ours = {"beams" if k == "num_beams" else k: v for k, v in options.items()}
            # transformers lets nouns be said again, knows no concepts, and tries nothing again.
            ours |= {"repeat_nouns": True, "concept_bonus": 0, "retry": False}
            captions = captioner.caption(names, **ours)
            assert [caption.text for caption in captions] == found
        assert said[f"{name} as a list"] == said[name][0]
        assert said[f"{name} drawn"] > 1
    assert said["plain"] == said["me/clip"][0]
    assert said["me/mini tokenizer"] == "</s>"
    # Pulled again, it says what it sees.
    assert Captioner.from_pretrained("me/concepts").runtime.gives_concepts


def test_capgen_runs_no_code_of_a_pushed_model(
    hub: Hub, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both runtimes use capgen's own classes, whatever auto_map says."""
    plan = plan_push(resolve_model("mini"), "me/mini")
    push_model(plan, TOKEN)
    ours = Captioner.from_pretrained().caption(images[0]).text
    for runtime in ("onnx", "torch"):
        captioner = Captioner.from_pretrained("me/mini", runtime=runtime)
        assert captioner.caption(images[0]).text == ours
        assert not list(captioner.folder.path.glob("*.py"))
