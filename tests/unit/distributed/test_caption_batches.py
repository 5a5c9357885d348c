"""`CaptionBatches`: every form of batch, nulls, names of columns, pickles, one model a process."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import fsspec
import numpy as np
import pandas
import pyarrow
import pytest
from PIL import Image

from capgen.captioning.batch.inputs import Inputs
from capgen.captioning.batch.pipeline import BatchRun, ImageDone, caption_all
from capgen.captioning.captioner import Captioner
from capgen.config import DecodeOptions, ModelOptions
from capgen.distributed import CaptionBatches, caption_batches
from capgen.distributed.loaded_captioners import LoadedCaptioners
from capgen.errors import UsageError
from capgen.output.typed_rows import column_types, typed_row
from tests.colours import ColourRuntime, colour_captioner, plains

Columns = dict[str, list[Any]]


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[ModelOptions, int, ColourRuntime]]:
    """Let models be captioners of colours; return what is loaded, with its runtime."""
    found: list[tuple[ModelOptions, int, ColourRuntime]] = []

    def load(options: ModelOptions, *, threads: int) -> Captioner:
        captioner, runtime = colour_captioner()
        found.append((options, threads, runtime))
        return captioner

    monkeypatch.setattr(Captioner, "from_options", load)
    monkeypatch.setattr(caption_batches, "CAPTIONERS", LoadedCaptioners())
    return found


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    """Return the paths of three images, and of a file that is none."""
    found = plains(tmp_path, 3)
    broken = tmp_path / "broken.png"
    broken.write_text("Dear diary")
    return [str(found[2]), str(broken), str(found[0]), str(found[1])]


def red(value: int) -> bytes:
    """Return a PNG whose caption is `VALUE 0`."""
    stream = io.BytesIO()
    Image.new("RGB", (8, 6), (value, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


# How a batch is made of columns, and read again.
def as_frame(columns: Columns) -> pandas.DataFrame:
    return pandas.DataFrame(columns)


def as_table(columns: Columns) -> pyarrow.Table:
    return pyarrow.table(columns)


def as_record_batch(columns: Columns) -> pyarrow.RecordBatch:
    return pyarrow.record_batch(columns)


def as_arrays(columns: Columns) -> dict[str, Any]:
    return {name: np.array(cells, object) for name, cells in columns.items()}


FORMS = [as_frame, as_table, as_record_batch, as_arrays]
each_form = pytest.mark.parametrize("form", FORMS)


def read(batch: Any) -> Columns:
    """Return the columns of a batch, with None for what is missing."""
    if isinstance(batch, pandas.DataFrame):
        return {
            name: batch[name].astype(object).where(batch[name].notna(), None).tolist()
            for name in batch.columns
        }
    if isinstance(batch, dict):
        return {
            name: [None if isinstance(cell, float) and np.isnan(cell) else cell for cell in cells]
            for name, cells in batch.items()
        }
    columns: Columns = batch.to_pydict()
    return columns


def expected(paths: list[str], **decoding: Any) -> Columns:
    """Return the columns of the records that the command's pipeline makes of images."""
    captioner, _ = colour_captioner()
    run = BatchRun(decoding=DecodeOptions(**decoding))
    events = caption_all(captioner, Inputs(paths), run)
    rows = [typed_row(event.record) for event in events if isinstance(event, ImageDone)]
    return {name: [row[name] for row in rows] for name in column_types()}


@each_form
def test_records_are_those_of_the_command_in_the_order_of_the_rows(
    form: Callable[[Columns], Any], paths: list[str], loaded: list[Any]
) -> None:
    batch = form({"path": paths, "id": [3, 1, 2, 7]})
    made = CaptionBatches(keep=["id"], num_captions=2, batch_size=2)(batch)
    assert type(made) is type(batch)
    assert read(made) == {"id": [3, 1, 2, 7], **expected(paths, num_captions=2)}
    assert list(read(made)) == ["id", *column_types()]
    assert read(made)["caption"] == ["2 0", None, "0 0", "1 0"]
    assert read(made)["error_code"] == [None, "not_an_image", None, None]


@each_form
def test_an_empty_batch_has_the_types_of_others_and_loads_nothing(
    form: Callable[[Columns], Any], paths: list[str], loaded: list[Any]
) -> None:
    captions = CaptionBatches(keep=["id"])
    full = form({"path": paths, "id": [3, 1, 2, 7]})
    none = {name: cells[:0] for name, cells in full.items()} if isinstance(full, dict) else full[:0]
    empty = captions(none)
    assert not loaded
    assert types(empty) == types(captions(full))
    assert read(empty) == {name: [] for name in ("id", *column_types())}


def types(batch: Any) -> dict[str, Any]:
    if isinstance(batch, dict):
        return {name: cells.dtype for name, cells in batch.items()}
    if isinstance(batch, pandas.DataFrame):
        return dict(batch.dtypes)
    return {field.name: field.type for field in batch.schema}


def test_columns_without_a_value_have_their_type(paths: list[str], loaded: list[Any]) -> None:
    captions = CaptionBatches()
    failed = captions(pyarrow.table({"path": paths[1:2]}))
    assert failed.schema == captions.schema == pyarrow.schema(list(column_types().items()))
    frame = captions(pandas.DataFrame({"path": paths[1:2]}))
    assert frame.dtypes["caption"] == "string" and frame.dtypes["width"] == "Int64"
    assert frame.dtypes["score"] == "float64"
    assert captions(as_arrays({"path": paths[1:2]}))["score"].dtype == np.float64


def test_a_frame_keeps_its_index(paths: list[str], loaded: list[Any]) -> None:
    frame = pandas.DataFrame({"path": paths}, index=[9, 9, 4, 1])
    assert list(CaptionBatches()(frame).index) == [9, 9, 4, 1]


def test_batches_of_an_iterator_come_as_they_are_asked_for(
    paths: list[str], loaded: list[Any]
) -> None:
    taken = []

    def batches() -> Iterator[pyarrow.Table]:
        for path in paths:
            taken.append(path)
            yield pyarrow.table({"path": [path]})

    made = CaptionBatches()(batches())
    assert not taken
    assert next(made)["caption"].to_pylist() == ["2 0"]
    assert taken == paths[:1]
    assert [each["caption"].to_pylist() for each in made] == [[None], ["0 0"], ["1 0"]]
    assert len(loaded) == 1


@each_form
def test_images_come_as_bytes_structs_or_paths(
    form: Callable[[Columns], Any], paths: list[str], loaded: list[Any]
) -> None:
    structs = [
        {"bytes": red(5), "path": "five.png"},
        {"bytes": None, "path": paths[0]},
        {"bytes": red(6), "path": None},
        {"bytes": None, "path": None},
        None,
    ]
    made = read(CaptionBatches(image="image")(form({"image": structs})))
    assert made["caption"] == ["5 0", "2 0", "6 0", None, None]
    assert made["path"] == ["five.png", paths[0], None, None, None]
    assert made["error_code"] == [None, None, None, "malformed", "malformed"]
    assert made["error_message"][3:] == ["no image in column 'image'"] * 2
    both = {"where": ["https://me:secret@example.org/a.png", paths[0], None], "content": [red(7)]}
    both["content"] += [None, b"no image"]
    made = read(CaptionBatches(path="where", image="content")(form(both)))
    assert made["caption"] == ["7 0", "2 0", None]
    assert made["path"] == ["https://example.org/a.png", paths[0], None]
    assert made["error_message"][2] == "image in memory: not an image but text"


@each_form
def test_rows_without_an_image_are_failures(
    form: Callable[[Columns], Any], paths: list[str], loaded: list[Any]
) -> None:
    made = read(CaptionBatches()(form({"path": [None, paths[0], "", "gone.png"]})))
    assert made["caption"] == [None, "2 0", None, None]
    assert made["error_code"] == ["malformed", None, "malformed", "missing"]
    assert made["error_message"][0] == "no image in column 'path'"
    assert made["path"] == [None, paths[0], None, "gone.png"]
    assert set(made["model"]) == {"colours"}
    numbers = read(CaptionBatches(path="id", image="image")(form({"id": [7], "image": [None]})))
    assert numbers["error_message"] == [
        "column 'id' and column 'image': not a path or the bytes of a file, but int"
    ]


def test_relative_paths_start_from_the_base(paths: list[str], loaded: list[Any]) -> None:
    folder = Path(paths[0]).parent
    made = CaptionBatches(base=folder)(pyarrow.table({"path": ["002.png"]}))
    assert made["path"].to_pylist() == paths[:1]
    assert made["caption"].to_pylist() == ["2 0"]


def test_images_may_be_in_a_store(loaded: list[Any]) -> None:
    store = fsspec.filesystem("memory")
    store.pipe("/batches/7.png", red(7))
    paths = ["memory://batches/7.png", "memory://batches/gone.png"]
    made = CaptionBatches()(pyarrow.table({"path": paths}))
    assert made["path"].to_pylist() == paths
    assert made["caption"].to_pylist() == ["7 0", None]
    assert made["error_code"].to_pylist() == [None, "missing"]
    below = CaptionBatches(base="memory://batches/")(pyarrow.table({"path": ["7.png"]}))
    assert (below["path"].to_pylist(), below["caption"].to_pylist()) == (paths[:1], ["7 0"])


@each_form
def test_wrong_columns_are_named(form: Callable[[Columns], Any], loaded: list[Any]) -> None:
    batch = form({"file": ["a.png"], "id": [1]})
    for captions, name in (
        (CaptionBatches(), "path"),
        (CaptionBatches(image="bytes"), "bytes"),
        (CaptionBatches(path="file", keep=["id", "split"]), "split"),
    ):
        with pytest.raises(UsageError, match=f"no column '{name}'") as caught:
            captions(batch)
        assert caught.value.hint == "Its columns: file, id"
    assert not loaded


def test_a_column_that_is_there_twice_is_refused(loaded: list[Any]) -> None:
    frame = pandas.DataFrame([["a.png", "b.png"]], columns=["path", "path"])
    with pytest.raises(UsageError, match="2 columns 'path'"):
        CaptionBatches()(frame)


def test_options_are_checked_where_the_function_is_made() -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"beam": 3}, "Unknown option 'beam'"),
        ({"beams": 0}, "--beams is 0"),
        ({"device": "gpu"}, "--device is 'gpu'"),
        ({"workers": 0}, "--workers is 0"),
        ({"max_bytes": 0}, "--max-bytes is 0"),
        ({"threads": 0}, "threads is 0"),
        ({"keep": "id"}, "keep is 'id'"),
        ({"keep": ["caption"]}, "'caption' cannot be kept"),
        ({"keep": ["path"]}, "'path' cannot be kept"),
    ]
    for options, message in wrong:
        with pytest.raises(UsageError, match=message):
            CaptionBatches(**options)
    with pytest.raises(UsageError) as caught:
        CaptionBatches(beam=3)  # type: ignore[call-arg]
    assert caught.value.hint == "Did you mean 'beams'?"


def test_what_is_no_batch_is_refused() -> None:
    with pytest.raises(UsageError, match="captions batches of rows, not list"):
        CaptionBatches()(["a.png"])


def test_options_reach_the_model_and_the_reading(paths: list[str], loaded: list[Any]) -> None:
    captions = CaptionBatches("mini:int8", device="cpu", beams=2, max_bytes=9, threads=20)
    assert captions(pyarrow.table({"path": paths[:1]}))["error_code"].to_pylist() == ["too_large"]
    ((options, threads, _),) = loaded
    assert options == ModelOptions(model="mini:int8", device="cpu")
    assert threads == 2  # of each of eight batches side by side
    table = pyarrow.table({"path": paths[:1]})
    CaptionBatches(num_captions=3)(table)
    assert loaded[-1][2].settings[0].num_captions == 3
    refused = CaptionBatches()(pyarrow.table({"path": ["http://127.0.0.1:9/a.png"]}))
    assert refused["error_code"].to_pylist() == ["refused_address"]
    asked = CaptionBatches(allow_private=True)(
        pyarrow.table({"path": ["http://127.0.0.1:9/a.png"]})
    )
    assert asked["error_code"].to_pylist() == ["download"]


@pytest.mark.parametrize("library", [pickle, cloudpickle])
def test_a_copy_does_the_same_with_the_model_that_is_there(
    library: Any, paths: list[str], loaded: list[Any]
) -> None:
    captions = CaptionBatches(num_captions=2, keep=["id"])
    table = pyarrow.table({"path": paths, "id": [1, 2, 3, 4]})
    made = captions(table)
    pickled = library.dumps(captions)
    assert len(pickled) < 5000  # settings, no weights
    for _ in range(3):  # as in one task after the other
        assert pickle.loads(pickled)(table) == made
    assert len(loaded) == 1
    CaptionBatches(num_captions=3)(
        table.select(["path"])
    )  # decodes differently with the same model
    assert len(loaded) == 1
    CaptionBatches("mini:int8")(table.select(["path"]))
    assert len(loaded) == 2


def test_the_meta_of_a_frame_is_what_comes_of_it(paths: list[str], loaded: list[Any]) -> None:
    captions = CaptionBatches(keep=["id"])
    frame = pandas.DataFrame({"path": paths, "id": [1, 2, 3, 4]})
    meta = captions.meta(frame)
    assert not loaded and not len(meta)
    assert dict(meta.dtypes) == dict(captions(frame).dtypes)
    with pytest.raises(UsageError, match="no column 'path'"):
        captions.meta(frame[["id"]])


def test_columns_give_a_struct_of_the_schema(paths: list[str], loaded: list[Any]) -> None:
    captions = CaptionBatches(path="where", image="image")
    images = pyarrow.array([None, red(3)], "binary")
    made = captions.struct_array(pyarrow.array(paths[:2]), images)
    assert made.type == pyarrow.struct(list(captions.schema))
    assert [each["caption"] for each in made.to_pylist()] == ["2 0", "3 0"]
    with pytest.raises(UsageError, match="takes 2 columns: where, image"):
        captions.struct_array(images)


def test_columns_may_be_those_of_another_library(paths: list[str], loaded: list[Any]) -> None:
    class Series:
        def to_arrow(self) -> pyarrow.Array:
            return pyarrow.array(paths[:1], "large_string")

    (made,) = CaptionBatches().struct_array(Series()).to_pylist()
    assert made == {name: cells[0] for name, cells in expected(paths[:1]).items()}
