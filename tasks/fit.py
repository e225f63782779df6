"""Fit a candidate on some parts of a split, and load what was fitted."""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
from loguru import logger
from numpy.typing import NDArray
from prefect import task
from prefect.runtime import task_run
from pyspark.sql import SparkSession

from models.base import Factorise, Factors, FittedModel, Interactions, Parameters
from models.combination import Combination
from models.registry import Candidate, Kind
from schema.columns import Columns
from spark.factorise import Factorisation, factorise, factors_of, save_model
from spark.jvm import describe_blas
from spark.options import SparkOptions
from storage import layout
from storage.canonical import artifact_id
from storage.code_version import code_version
from storage.files import ABANDONED_AGE
from storage.manifest import Manifest
from storage.parquet import write_parquet
from tasks.attributes import read_content
from tasks.execution import COMPUTE_RETRIES, open_spark, spark_uri
from tasks.options import PlaceOptions
from tasks.store import PART_FILES, local_file, publish_once, read_parts

Parts = tuple[str, ...]
NOT_OF_THE_CANDIDATE = frozenset(
    {"model", "parts", "until", "keep_spark_model", "select_by", "validation_scores", "test_scores", "curve_scores"}
)


def name_fit() -> str:
    """Return the name of the task run, such as 'fit popularity on train + validation'."""
    asked = task_run.parameters
    before = f" before {datetime.fromtimestamp(asked['until'], tz=UTC):%Y-%m-%d}" if asked.get("until") else ""
    return "fit {candidate.label} on {on}".format(**asked, on=" + ".join(asked["parts"])) + before


@task(name="fit", task_run_name=name_fit, **COMPUTE_RETRIES)
def fit(
    places: PlaceOptions,
    split: Manifest,
    parts: Parts,
    candidate: Candidate,
    spark_options: SparkOptions,
    *,
    until: int | None = None,
    keep_spark_model: bool = False,
) -> Manifest:
    """Publish a candidate fitted on some parts of a split, or only on what they have before a moment (Unix seconds).

    If asked, what Spark fits is kept in Spark's own format too.
    """
    kind = candidate.kind
    needs_spark = "spark" in kind.needs

    def read(name: str) -> NDArray[Any]:
        rows = read_parts(places, split, parts, [*{name, Columns.TIMESTAMP}])
        return np.asarray((rows if until is None else rows.filter(pc.field(Columns.TIMESTAMP) < until))[name])

    inputs = {"split": split.id}
    about = {"model": candidate.model, "keep_spark_model": keep_spark_model, "until": until}
    parameters = {"parts": list(parts), **about, **candidate.parameters}
    checkpoint = _checkpoint(places, kind, inputs, parameters)
    interactions = Interactions(
        split.count("n_users"),
        split.count("n_items"),
        read,
        checkpoint=checkpoint,
        content=lambda: read_content(places, split),
    )

    def build(folder: Path) -> dict[str, Any]:
        if isinstance(kind, Combination):
            parts_of = kind.parts_of(candidate.parameters)
            wanted = [Candidate(model=one.model, parameters=one.parameters) for one in parts_of]
            fits = [fit.fn(places, split, parts, one, spark_options, until=until) for one in wanted]
            models = [load_model(places, one) for one in fits]
            kind.join(models, candidate.parameters).save(folder / kind.folder)
            return {}
        if not needs_spark:
            kind.fit(interactions, candidate.parameters).save(folder / kind.folder)
            return {}
        with open_spark(spark_options, places, candidate.label) as session:
            uris = [spark_uri(places, split, PART_FILES[part]) for part in parts]
            engine = _factorise_with(session, uris, interactions, until, folder if keep_spark_model else None)
            kind.fit(replace(interactions, factorise=engine), candidate.parameters).save(folder / kind.folder)
            blas = describe_blas(session)
        logger.info("BLAS that Spark found: {}", blas)
        return {"blas": blas}

    fitted = publish_once(places, layout.FITS, inputs=inputs, parameters=parameters, build=build, uses=[type(kind)])
    shutil.rmtree(checkpoint, ignore_errors=True)
    return fitted


def _checkpoint(places: PlaceOptions, kind: Kind, inputs: Mapping[str, str], parameters: Parameters) -> Path:
    """Return the folder of a fit's checkpoint, named for all that decides the fit; remove those of a week ago."""
    folder = places.work_dir / "checkpoints"
    oldest = datetime.now(UTC) - ABANDONED_AGE
    for path in folder.glob("*"):
        with suppress(FileNotFoundError):  # another run has removed it
            if datetime.fromtimestamp(path.stat().st_mtime, UTC) < oldest:
                shutil.rmtree(path, ignore_errors=True)
    return folder / artifact_id(layout.FITS, inputs, parameters, code_version(type(kind)))


def _factorise_with(
    session: SparkSession, uris: list[str], interactions: Interactions, until: int | None, kept_in: Path | None
) -> Factorise:
    def engine(parameters: Parameters, saved_as: str) -> tuple[Factors, Factors]:
        fitted = factorise(session, uris, Factorisation.model_validate(parameters), until)
        if kept_in:
            save_model(fitted, kept_in / saved_as, write_parquet)
        return factors_of(fitted, interactions.n_users, interactions.n_items)

    return engine


def candidate_of(model: Manifest) -> Candidate:
    """Return the candidate that a fitted or published model is a fit of."""
    parameters = {name: value for name, value in model.parameters.items() if name not in NOT_OF_THE_CANDIDATE}
    return Candidate(model=str(model.parameters["model"]), parameters=parameters)


def load_model(places: PlaceOptions, model: Manifest) -> FittedModel:
    """Return a fitted or published model, memory-mapped."""
    candidate = candidate_of(model)
    return candidate.kind.load(local_file(places, model, candidate.kind.folder), candidate.parameters)
