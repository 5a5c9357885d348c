"""Mistakes in `capgen train` are told at once: before torch is imported, which takes seconds."""

from __future__ import annotations

import subprocess
import sys

MISTAKES = [
    (["--dataset", "flikr8k"], 1, "Did you mean 'flickr8k'?"),
    (["--dataset", "flickr8k=2"], 1, "capgen data download flickr8k"),
    (["--data-dir", "nowhere/"], 1, "No such file or folder: nowhere"),
    (["--data-dir", "nowhere/=2000"], 2, "at most 1000"),
    (["--preset", "minni", "--dry-run"], 2, "Did you mean 'mini'?"),
    (["--num-epochs", "0"], 2, "--num-epochs is 0"),
]
PROGRAM = """
import sys
from capgen.cli.main import main
for arguments in {arguments!r}:
    print(main(["train", *arguments]), file=sys.stderr)
print("torch" in sys.modules)
"""


def test_mistakes_are_told_without_torch(tmp_path):
    program = PROGRAM.format(arguments=[arguments for arguments, _, _ in MISTAKES])
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "False\n", done.stderr
    told = iter(done.stderr.splitlines())
    for arguments, code, words in MISTAKES:
        message = ""
        while not message.endswith(f"\n{code}"):
            message += "\n" + next(told)
        assert words in message, arguments
