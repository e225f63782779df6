"""Fitting one candidate on some parts of a split: ALS by Spark, baselines by counting."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from loguru import logger
from prefect import task
from prefect.runtime import task_run
from pyspark.ml.recommendation import ALSModel
from pyspark.sql import SparkSession

import models.bias
import models.item_knn
import models.popularity
import spark.als
import storage.parquet
from models.bias import BiasOptions, fit_bias, fit_global_mean
from models.factors import FactorModel
from models.item_knn import ItemKnnModel, ItemKnnOptions, fit_item_knn
from models.popularity import PopularityOptions, draw_random_model, fit_popularity, fit_recent_popularity
from spark.als import AlsParameters
from spark.jvm import describe_blas
from spark.options import SparkOptions
from storage import layout
from storage.identity import code_version
from storage.manifest import Manifest
from storage.parquet import write_parquet
from tasks.candidates import ALS_MODELS, BIAS, GLOBAL_MEAN, IMPLICIT, ITEM_KNN, POPULARITY, RANDOM, Candidate
from tasks.execution import COMPUTE_RETRIES
from tasks.options import PlaceOptions
from tasks.spark_session import open_spark, spark_uri
from tasks.store import PART_FILES, publish_once, read_parts

ALS_CODE = code_version(spark.als, storage.parquet)
BASELINE_CODE = code_version(models.popularity, models.bias)
ITEM_KNN_CODE = code_version(models.item_knn)

Parts = tuple[str, ...]


def name_fit() -> str:
    """Return the name of the task run, such as 'fit popularity on train + validation'."""
    return "fit {candidate.label} on {on}".format(**task_run.parameters, on=" + ".join(task_run.parameters["parts"]))


@task(name="fit", task_run_name=name_fit, **COMPUTE_RETRIES)
def fit(
    places: PlaceOptions,
    split: Manifest,
    parts: Parts,
    candidate: Candidate,
    spark_options: SparkOptions,
    *,
    keep_spark_model: bool = False,
) -> Manifest:
    """Publish the factors of a candidate fitted on some parts of a split.

    Args:
        places: The store.
        split: Where the parts are.
        parts: Of ``train``, ``validation`` and ``test``, those to learn from.
        candidate: What to fit.
        spark_options: Where ALS runs.
        keep_spark_model: Whether an ALS model is kept in Spark's own format too, as ``als_model/``.
    """
    is_als = candidate.model in ALS_MODELS

    def build(folder: Path) -> dict[str, Any]:
        if is_als:
            with open_spark(spark_options, places, candidate.label) as session:
                fitted = _fit_als(session, places, split, parts, candidate)
                if keep_spark_model:
                    spark.als.save_model(fitted, folder / layout.ALS_MODEL, write_parquet)
                users, items = spark.als.factors_of(fitted, split.count("n_users"), split.count("n_items"))
                FactorModel(users, items).save(folder / layout.FACTORS)
                blas = describe_blas(session)
            logger.info("BLAS that Spark found: {}", blas)
            return {"blas": blas}
        rows = read_parts(places, split, parts)
        if candidate.model == ITEM_KNN:
            _fit_item_knn(candidate, rows, split).save(folder / layout.SIMILARITIES)
        else:
            fit_baseline(candidate, rows, split).save(folder / layout.FACTORS)
        return {}

    return publish_once(
        places,
        layout.FITS,
        inputs={"split": split.id},
        parameters={
            "parts": list(parts),
            "model": candidate.model,
            "keep_spark_model": keep_spark_model,
            **candidate.parameters,
        },
        code=ALS_CODE if is_als else ITEM_KNN_CODE if candidate.model == ITEM_KNN else BASELINE_CODE,
        build=build,
    )


def _fit_als(
    session: SparkSession, places: PlaceOptions, split: Manifest, parts: Parts, candidate: Candidate
) -> ALSModel:
    paths = [spark_uri(places, split, PART_FILES[part]) for part in parts]
    parameters = AlsParameters.model_validate(
        {"alpha": 1.0, **candidate.parameters, "implicit": candidate.model == IMPLICIT}
    )
    return spark.als.fit(session, paths, parameters)


def _fit_item_knn(candidate: Candidate, rows: pa.Table, split: Manifest) -> ItemKnnModel:
    user_idx, item_idx = (np.asarray(rows[name]) for name in ("user_idx", "item_idx"))
    options = ItemKnnOptions(**candidate.parameters)
    return fit_item_knn(user_idx, item_idx, split.count("n_users"), split.count("n_items"), options)


def fit_baseline(candidate: Candidate, rows: pa.Table, split: Manifest) -> FactorModel:
    """Return a baseline fitted on rows of interactions, as a factor model."""
    n_users, n_items = split.count("n_users"), split.count("n_items")
    user_idx, item_idx = (np.asarray(rows[name]) for name in ("user_idx", "item_idx"))
    if candidate.model == RANDOM:
        return draw_random_model(n_users, n_items, **candidate.parameters)
    if candidate.model == POPULARITY:
        return fit_popularity(item_idx, n_users, n_items)
    if candidate.model == GLOBAL_MEAN:
        return fit_global_mean(np.asarray(rows["rating"]), n_users, n_items)
    if candidate.model == BIAS:
        options = BiasOptions(**candidate.parameters)
        return fit_bias(user_idx, item_idx, np.asarray(rows["rating"]), n_users, n_items, options)
    half_life = PopularityOptions(**candidate.parameters).popularity_half_life_days
    return fit_recent_popularity(item_idx, np.asarray(rows["timestamp"]), n_users, n_items, half_life)
