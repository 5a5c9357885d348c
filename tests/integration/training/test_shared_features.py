"""Processes share the passes of a frozen encoder; the cache is that of one process."""

from __future__ import annotations

import json
import signal

import pytest

from capgen.training.data.row_files import read_row_file
from tests.integration.training.test_processes import write_run
from tests.minis import write_flickr8k
from tests.rank_processes import run_ranks
from tests.training_runs import eight_images, run_config

# Its graph ships, and frozen features are computed with it.
BACKBONE = "lite0"


@pytest.fixture
def file(tmp_path, mini):
    """Settings of a run on eight images, which a frozen encoder sees two at a time."""
    data = write_flickr8k(tmp_path / "data", eight_images())
    config = run_config(
        tmp_path, data, mini, train_encoder="none", num_epochs=1, validation=False, test=False
    )
    return write_run(tmp_path / "run.toml", config)


class Home:
    """A folder of caches, and what runs that have it do."""

    def __init__(self, path, file):
        self.path, self.file = path, path / file.name
        path.mkdir()
        self.file.write_bytes(file.read_bytes())

    def run(self, count, fault=""):
        """Run processes; return how each ended, and the images of each pass of each encoder."""
        passes = self.path / f"passes-{count}"
        passes.mkdir()
        more = {"CAPGEN_HOME": str(self.path), "PASSES": str(passes), "BATCH": "2"}
        ended = run_ranks([self.file], count, fault=fault, environment=more)
        seen = {int(f.stem): json.loads(f.read_text()) for f in passes.glob("*.json")}
        return ended, [seen.get(rank, []) for rank in range(count)]

    def files(self):
        """Return the content of the caches of features."""
        folder = self.path / "cache" / "features"
        return {file.name: file.read_bytes() for file in folder.iterdir()}

    def rows(self):
        """Return the rows of unfinished caches."""
        folder = self.path / "cache" / "features"
        found = 0
        for part in folder.glob("*.part"):
            first = (
                int(part.name.split(".")[1].partition("-")[0]) if part.name.count(".") > 1 else 0
            )
            held = read_row_file(part, first, 8, 2)
            found += held.stop - held.first if held else 0
        return found


@pytest.mark.slow
def test_each_process_computes_a_share(tmp_path, file):
    made = {}
    for count in (1, 2, 4):
        home = Home(tmp_path / f"of-{count}", file)
        ended, passes = home.run(count)
        assert {end.code for end in ended} == {0}, [end.text for end in ended]
        assert passes == [[2] * (4 // count)] * count
        made[count] = home.files()
    assert len(made[1]) == 1
    assert made[1] == made[2] == made[4]


@pytest.mark.slow
def test_what_a_killed_run_computed_is_not_computed_again(tmp_path, file):
    """The second of two dies after one pass; then one of three dies at once; one goes on."""
    whole, home = Home(tmp_path / "whole", file), Home(tmp_path / "killed", file)
    whole.run(1)
    ended, passes = home.run(2, "encode:1:1")
    assert [end.code for end in ended] == [1, -signal.SIGKILL], [end.text for end in ended]
    assert "error: Process 1 of 2 has died" in ended[0].text
    assert "Traceback" not in ended[0].text
    rows = home.rows()
    assert rows == sum(map(sum, passes))
    assert 2 <= rows < 8
    ended, passes = home.run(3, "encode:2:0")
    assert ended[2].code == -signal.SIGKILL
    rows += sum(map(sum, passes))
    assert home.rows() == rows < 8
    ended, passes = home.run(1)
    assert ended[0].code == 0, ended[0].text
    assert sum(passes[0]) == 8 - rows
    assert home.files() == whole.files()
