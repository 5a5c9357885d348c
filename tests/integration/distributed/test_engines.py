"""`CaptionBatches` in Spark, Dask and Daft: the records of one process, whoever calls it."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pytest

from capgen.captioning.batch.inputs import Inputs
from capgen.captioning.batch.pipeline import BatchRun, ImageDone, caption_all
from capgen.captioning.captioner import Captioner
from capgen.config import DecodeOptions
from capgen.distributed import CaptionBatches
from capgen.errors import UsageError
from capgen.output.typed_rows import typed_row
from tests.fakes import draw_image

DECODING = {"beams": 2, "num_captions": 2, "confidence": True}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with images, one of them broken."""
    made = tmp_path_factory.mktemp("engines")
    for number in range(5):
        draw_image(number, (160, 120)).save(made / f"{number}.jpg", quality=85)
    (made / "5.jpg").write_text("Dear diary")
    return made


@pytest.fixture(scope="module")
def rows(folder: Path) -> list[dict[str, Any]]:
    """Return rows that name the images, one that is not there, and none."""
    paths = [str(folder / f"{number}.jpg") for number in range(7)]
    return [{"id": number, "path": path} for number, path in enumerate([*paths, None])]


@pytest.fixture(scope="module")
def expected(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what is to come of the rows: the records of the command's pipeline."""
    captioner = Captioner.from_pretrained(threads=1)
    inputs = Inputs([row["path"] for row in rows[:-1]])
    events = caption_all(captioner, inputs, BatchRun(decoding=DecodeOptions(**DECODING)))
    made = [typed_row(event.record) for event in events if isinstance(event, ImageDone)]
    same = dict.fromkeys(made[0]) | {key: made[0][key] for key in ("model", "revision", "settings")}
    fault = {"error_code": "malformed", "error_message": "no image in column 'path'"}
    assert [row["error_code"] for row in made] == [None] * 5 + ["not_an_image", "missing"]
    return [{"id": number, **row} for number, row in enumerate([*made, same | fault])]


@pytest.fixture
def captions() -> CaptionBatches:
    return CaptionBatches(keep=["id"], **DECODING)


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return a session of Spark with two workers on this machine."""
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    sql = pytest.importorskip("pyspark.sql", reason="pyspark is not installed")
    place = tmp_path_factory.mktemp("spark")
    options = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.local.dir": str(place),
        "spark.sql.warehouse.dir": str(place / "warehouse"),
        "spark.sql.shuffle.partitions": "2",
        # Several batches a partition.
        "spark.sql.execution.arrow.maxRecordsPerBatch": "3",
    }
    builder = sql.SparkSession.builder.master("local[2]")
    for name, value in options.items():
        builder = builder.config(name, value)
    before = signal.getsignal(signal.SIGINT)
    session = builder.getOrCreate()
    signal.signal(signal.SIGINT, before)  # which Spark takes over
    yield session
    session.stop()


@pytest.mark.parametrize("way", ["mapInPandas", "mapInArrow"])
def test_spark(
    way: str,
    spark: Any,
    captions: CaptionBatches,
    rows: list[dict[str, Any]],
    expected: list[dict[str, Any]],
) -> None:
    frame = spark.createDataFrame([tuple(row.values()) for row in rows], "id int, path string")
    mapped = getattr(frame.repartitionByRange(2, "id"), way)(captions, captions.spark_schema(frame))
    assert [field.simpleString() for field in mapped.schema][:4] == [
        *("id:int", "path:string", "caption:string", "score:double"),
    ]
    assert mapped.schema["width"].dataType.simpleString() == "bigint"
    assert [row.asDict() for row in mapped.orderBy("id").collect()] == expected
    with pytest.raises(UsageError, match="no column 'id'"):
        captions.spark_schema(frame.select("path"))


def test_spark_with_the_bytes_of_files(
    spark: Any, folder: Path, expected: list[dict[str, Any]]
) -> None:
    files = spark.read.format("binaryFile").option("pathGlobFilter", "*.jpg").load(str(folder))
    captions = CaptionBatches(path="path", image="content", **DECODING)
    mapped = files.mapInArrow(captions, captions.spark_schema(files)).orderBy("path").collect()
    assert [row["path"] for row in mapped] == [f"file:{row['path']}" for row in expected[:6]]
    for name in ("caption", "score", "alternatives", "sha256", "error_code", "confidence"):
        assert [row[name] for row in mapped] == [row[name] for row in expected[:6]]


def test_dask(
    captions: CaptionBatches,
    rows: list[dict[str, Any]],
    expected: list[dict[str, Any]],
    tmp_path: Path,
) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    dataframe = pytest.importorskip("dask.dataframe", reason="dask is not installed")
    distributed = pytest.importorskip("distributed", reason="distributed is not installed")
    frame = dataframe.from_pandas(pandas.DataFrame(rows), npartitions=3)
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            local_directory=str(tmp_path / "workers"),
        ) as cluster,
        distributed.Client(cluster),
    ):
        mapped = frame.map_partitions(captions, meta=captions.meta(frame))
        mapped.to_parquet(str(tmp_path / "captions"), write_index=False)
        made = mapped.compute()
    assert dict(made.dtypes) == dict(mapped.dtypes)
    written = pyarrow.parquet.read_table(tmp_path / "captions")
    assert written.to_pylist() == expected
    assert made["caption"].fillna("").tolist() == [row["caption"] or "" for row in expected]


def test_daft(rows: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    daft = pytest.importorskip("daft", reason="daft is not installed")
    captions = CaptionBatches(**DECODING)
    kind = daft.DataType.from_arrow_type(pyarrow.struct(captions.schema))
    caption = daft.func.batch(return_dtype=kind, unnest=True, use_process=True)(
        captions.struct_array
    )
    frame = daft.from_pylist(rows)
    made = frame.select("id", caption(frame["path"])).sort("id").to_pylist()
    assert made == expected
