"""Helpers that the push tests share."""

from __future__ import annotations

import hashlib

from capgen.hub.push import PushPlan
from capgen.models.fetch import fetch
from capgen.models.provenance import Provenance
from tests.hub_stand_in import Hub

TOKEN = "hf_secretOfMine"
PROVENANCE = Provenance(
    preset="clip-gpt2",
    data={"name": "flickr8k", "digest": "abc", "counts": {"train": 6000}},
    training={"data_dir": "/home/somebody/photos", "encoder": "some/clip", "num_epochs": 3},
    metrics={"test": {"BLEU-4": 0.25, "CIDEr-D": 0.61, "images": 1000, "loss": 2.5}},
)


def check_stored(hub: Hub, plan: PushPlan, branch: str = "main") -> None:
    """Check by sha256 that the Hub has what was pushed, and gives it back."""
    repository = hub.written[plan.repository]
    files = repository.commits[repository.branches[branch]]
    fetched = fetch(plan.repository, branch).path
    sent = {file.name: file for file in plan.files}
    assert set(files) - {".gitattributes"} == set(sent)
    downloaded = 0
    for name, file in sent.items():
        content = file.source if isinstance(file.source, bytes) else file.source.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        assert files[name] == digest == file.sha256
        assert hashlib.sha256((hub.store / digest).read_bytes()).hexdigest() == digest
        if (fetched / name).is_file():
            assert hashlib.sha256((fetched / name).read_bytes()).hexdigest() == digest
            downloaded += 1
    assert downloaded >= 6
