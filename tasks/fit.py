"""Fit a candidate on some parts of a split, and load what was fitted."""

import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
from loguru import logger
from numpy.typing import NDArray
from prefect import task
from prefect.runtime import task_run
from pyspark.sql import SparkSession

from models.base import FittedModel, Interactions, Parameters
from models.combination import Combination
from models.engine import Factors, ItemLinks
from models.registry import Candidate, Kind
from schema.columns import Columns
from spark.factorise import Factorisation, factorise, factors_of, save_model
from spark.item_links import Linking, has_times, link_items
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
from tasks.store import local_file, part_file, publish_once, read_parts

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
        counts: dict[str, Any] = {}

        def open_session() -> tuple[SparkSession, list[str]]:
            session = stack.enter_context(open_spark(spark_options, places, candidate.label))
            counts["blas"] = describe_blas(session)
            logger.info("BLAS that Spark found: {}", counts["blas"])
            return session, [spark_uri(places, split, part_file(part)) for part in parts]

        with ExitStack() as stack:
            spark = _Spark(open_session, interactions, until, folder, keep_spark_model)
            kind.fit(replace(interactions, spark=spark), candidate.parameters).save(folder / kind.folder)
        return counts

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


@dataclass(frozen=True)
class _Spark:
    """Spark for one fit; what is asked first opens its session."""

    open_session: Callable[[], tuple[SparkSession, list[str]]]
    interactions: Interactions
    until: int | None
    folder: Path
    keeps_model: bool

    @cached_property
    def _source(self) -> tuple[SparkSession, list[str]]:
        return self.open_session()

    def factorise(self, parameters: Parameters, saved_as: str) -> tuple[Factors, Factors]:
        fitted = factorise(*self._source, Factorisation.model_validate(parameters), self.until)
        if self.keeps_model:
            save_model(fitted, self.folder / saved_as, write_parquet)
        return factors_of(fitted, self.interactions.n_users, self.interactions.n_items)

    def has_times(self) -> bool:
        return has_times(*self._source, self.until)

    def link(self, parameters: Parameters) -> ItemLinks:
        chosen = Linking.model_validate(parameters)
        return link_items(*self._source, chosen, self.interactions.n_items, self.folder, self.until)


def candidate_of(model: Manifest) -> Candidate:
    """Return the candidate that a fitted or published model is a fit of."""
    parameters = {name: value for name, value in model.parameters.items() if name not in NOT_OF_THE_CANDIDATE}
    return Candidate(model=str(model.parameters["model"]), parameters=parameters)


def load_model(places: PlaceOptions, model: Manifest) -> FittedModel:
    """Return a fitted or published model, memory-mapped."""
    candidate = candidate_of(model)
    return candidate.kind.load(local_file(places, model, candidate.kind.folder), candidate.parameters)
