"""Contestants of the ingest benchmark: each reads a gzipped file of JSON lines, and writes four of its fields.

Each is a context manager that yields what is measured, whose answer is the number of rows.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks.measuring import Run, jvm_figures

BLOCK_BYTES = 1 << 22
FIELDS = ("reviewerID", "asin", "overall", "unixReviewTime")


@contextmanager
def open_gunzip(path: str, folder: str) -> Iterator[Run]:  # noqa: ARG001 - it writes nothing
    """Yield what unpacks the file with ISA-L, in a thread of its own, and only counts the lines."""
    from isal import igzip_threaded

    def run() -> int:
        with igzip_threaded.open(path, "rb", threads=1) as stream:  # type: ignore[no-untyped-call]
            return sum(block.count(b"\n") for block in iter(lambda: stream.read(BLOCK_BYTES), b""))

    yield run


@contextmanager
def open_ingest(path: str, folder: str) -> Iterator[Run]:  # noqa: ARG001 - the environment says where its store is
    """Yield the ingest of a flow, with its Prefect server and Dask workers: from the raw file to published reviews.

    The answer has the rows, and the seconds of the ingest itself without the start of Dask and the end of the run.
    """
    from pydantic import BaseModel

    from flows.pipeline import ingest_reviews
    from flows.runtime import make_flow, open_prefect_api
    from flows.settings import Environment, read
    from reviews.options import IngestOptions
    from tasks.options import ReviewsInput

    def body(*, reviews: ReviewsInput, ingest: IngestOptions) -> Mapping[str, Any]:
        started = time.perf_counter()
        _, checked = ingest_reviews(read(Environment), reviews, ingest)
        return {"rows": checked.count("n_reviews"), "ingest_seconds": time.perf_counter() - started}

    groups: dict[str, BaseModel] = {"reviews": ReviewsInput(input_reviews=path), "ingest": IngestOptions()}
    flow = make_flow(body, lambda **_: "ingest")
    with open_prefect_api():

        def run() -> dict[str, Any]:
            record: Any = flow(**groups)
            return {name: record[name] for name in ("rows", "ingest_seconds")}

        yield run


@contextmanager
def open_reading(path: str, folder: str) -> Iterator[Run]:
    """Yield the pipeline's reader alone: partitions of reviews, written as one Parquet file."""
    import pyarrow.parquet as pq

    from reviews.formats import detect_format
    from reviews.options import IngestOptions
    from reviews.parse import read_partitions

    def run() -> int:
        options, source = IngestOptions(), Path(path)
        parts = read_partitions(source, detect_format(source, options), options.partition_bytes)
        first = next(parts)
        n_rows = 0
        with pq.ParquetWriter(Path(folder, "reading.parquet"), first.reviews.schema) as writer:
            for part in chain([first], parts):
                writer.write_table(part.reviews)
                n_rows += part.reviews.num_rows
        return n_rows

    yield run


@contextmanager
def open_pyarrow(path: str, folder: str) -> Iterator[Run]:
    """Yield pyarrow's streaming reader of JSON over ISA-L, with the types of the fields given."""
    import pyarrow as pa
    import pyarrow.json as pa_json
    import pyarrow.parquet as pq
    from isal import igzip_threaded

    types = dict(zip(FIELDS, (pa.string(), pa.string(), pa.float64(), pa.int64()), strict=True))
    parsing = pa_json.ParseOptions(explicit_schema=pa.schema(types), unexpected_field_behavior="ignore")

    def run() -> int:
        n_rows = 0
        reading = pa_json.ReadOptions(block_size=BLOCK_BYTES)
        with (
            igzip_threaded.open(path, "rb", threads=1) as stream,  # type: ignore[no-untyped-call]
            pa_json.open_json(stream, read_options=reading, parse_options=parsing) as reader,
            pq.ParquetWriter(Path(folder, "pyarrow.parquet"), reader.schema) as writer,
        ):
            for batch in reader:
                writer.write_batch(batch)
                n_rows += batch.num_rows
        return n_rows

    yield run


@contextmanager
def open_polars(path: str, folder: str) -> Iterator[Run]:
    """Yield polars' streaming engine, with the types of the fields given; it unpacks by itself."""
    import polars as pl

    schema = dict(zip(FIELDS, (pl.String, pl.String, pl.Float64, pl.Int64), strict=True))
    target = Path(folder, "polars.parquet")

    def run() -> int:
        pl.scan_ndjson(path, schema=schema, infer_schema_length=None).sink_parquet(target, engine="streaming")
        return int(pl.scan_parquet(target).select(pl.len()).collect().item())

    yield run


@contextmanager
def open_duckdb(path: str, folder: str) -> Iterator[Run]:
    """Yield DuckDB, with the types of the fields given; it unpacks by itself."""
    import duckdb

    types = "{reviewerID: 'VARCHAR', asin: 'VARCHAR', overall: 'DOUBLE', unixReviewTime: 'BIGINT'}"
    target = Path(folder, "duckdb.parquet")

    def run() -> int:
        # The paths are the benchmark's own.
        read = f"read_json('{path}', format='newline_delimited', compression='gzip', columns={types})"
        duckdb.sql(f"COPY (FROM {read}) TO '{target}' (FORMAT parquet)")
        return len(duckdb.read_parquet(str(target)))

    yield run


@contextmanager
def open_spark(path: str, folder: str) -> Iterator[Run]:
    """Yield Spark's reader of JSON lines, with the types of the fields given; the JVM is up by then.

    The answer has the rows and the most memory that the JVM held.
    """
    from spark.options import GIB, SparkOptions, machine_bytes
    from spark.session import open_session

    schema = "reviewerID STRING, asin STRING, overall DOUBLE, unixReviewTime BIGINT"
    target = Path(folder, "spark.parquet").as_uri()
    memory = f"{min(max(machine_bytes() // 2 // GIB, 1), 4)}g"
    with open_session(SparkOptions(spark_driver_memory=memory), "ingest") as session:

        def run() -> dict[str, Any]:
            session.read.schema(schema).json(Path(path).as_uri()).write.parquet(target)
            return jvm_figures() | {"rows": session.read.parquet(target).count()}

        yield run
