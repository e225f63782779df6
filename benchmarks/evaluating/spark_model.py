"""A fit in the layout in which `spark.factorise.save_model` leaves a model, written without Spark."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyspark
from numpy.typing import NDArray

from models.factors import FactorModel
from schema.columns import Columns
from spark.factorise import FACTORS, FIXED_METADATA, METADATA

N_PARTS = 4  # as many as ALS has blocks, so that Spark reads and joins them side by side


def write_spark_model(model: FactorModel, folder: Path) -> None:
    """Write a model so that `ALSModel.load(folder)` reads it."""
    for name, factors in zip(FACTORS, (model.user_factors, model.item_factors), strict=True):
        (folder / name).mkdir(parents=True)
        for number, rows in enumerate(np.array_split(np.arange(len(factors), dtype=np.int32), N_PARTS)):
            table = factor_table(rows, factors[rows])
            pq.write_table(table, folder / name / f"part-{number:05d}.parquet", compression="zstd")
    (folder / METADATA).mkdir()
    metadata = json.dumps(describe_model(model.user_factors.shape[1]))
    (folder / METADATA / "part-00000").write_text(metadata + "\n", "utf-8")


def factor_table(rows: NDArray[np.int32], factors: NDArray[np.float32]) -> pa.Table:
    """Return a table of ``id`` and ``features``, none of which may be null."""
    starts = pa.array(np.arange(len(rows) + 1, dtype=np.int32) * factors.shape[1])
    element = pa.field("element", pa.float32(), nullable=False)
    features = pa.ListArray.from_arrays(starts, pa.array(factors.reshape(-1)), type=pa.list_(element))
    schema = pa.schema([pa.field("id", pa.int32(), nullable=False), pa.field("features", pa.list_(element))])
    return pa.table([pa.array(rows), features], schema=schema)


def describe_model(rank: int) -> dict[str, Any]:
    """Return the metadata of an ALS model with the columns of this project."""
    names = {"userCol": str(Columns.USER_IDX), "itemCol": str(Columns.ITEM_IDX)}
    defaults = {"coldStartStrategy": "nan", "itemCol": "item", "predictionCol": "prediction", "userCol": "user"}
    return {
        "class": "org.apache.spark.ml.recommendation.ALSModel",
        "sparkVersion": pyspark.__version__,
        "paramMap": {"blockSize": 4096, "coldStartStrategy": "drop", **names},
        "defaultParamMap": {"blockSize": 4096, **defaults},
        "rank": rank,
        **FIXED_METADATA,
    }
