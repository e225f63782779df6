"""The main job: from a reviews file to a published model and ten recommendations for every user."""

import sys
from collections.abc import Sequence
from typing import Any

from prefect import flow
from pydantic import BaseModel

from evaluation.options import SplitOptions
from flows.command_line import run
from flows.notices import NOTICES
from flows.options import DaskOptions, NoticeOptions, RunOptions
from flows.results import tell_where, training_record
from flows.running import run_flow
from flows.settings import Settings
from flows.stages import make_split, measure_on_test, recommend_to_all, search, trace_learning
from flows.tracked import close_training, open_training
from models.registry import option_groups
from reviews.ingest import IngestOptions
from reviews.options import DownloadOptions
from spark.options import DatasetOptions, SparkOptions
from tasks.choose import Scored
from tasks.fit import fit
from tasks.model import Training, publish_model
from tasks.options import (
    DriftOptions,
    EvaluationOptions,
    PlaceOptions,
    ProductsInput,
    RecommendOptions,
    ReviewsInput,
    SelectionOptions,
    TrackingOptions,
)
from tasks.raw import keep_file
from tasks.report import publish_training_report
from tasks.store import LEARNT
from tasks.summary import summarise
from tasks.tracking import check_tracking, load_mlflow, open_experiment

PARTS: tuple[type[BaseModel], ...] = (
    ReviewsInput,
    ProductsInput,
    DownloadOptions,
    IngestOptions,
    DriftOptions,
    DatasetOptions,
    SplitOptions,
    *option_groups().values(),
    SelectionOptions,
    EvaluationOptions,
    RecommendOptions,
    PlaceOptions,
    TrackingOptions,
    SparkOptions,
    DaskOptions,
    NoticeOptions,
    RunOptions,
)


@flow(name="train", flow_run_name="train on {settings.input_name}", **NOTICES)
def train(settings: Settings) -> dict[str, Any]:
    """Ingest, build, split, search, test, publish, recommend and track; what is done already is left as it is."""
    places, spark = settings.part(PlaceOptions), settings.part(SparkOptions)
    check_tracking(settings.part(TrackingOptions))
    experiment = open_experiment.submit(settings.part(TrackingOptions))
    products = keep_file(places, settings.input_products) if settings.input_products else None
    lineage = make_split(settings, is_compared=True)
    tracked = open_training(settings, experiment.result(), lineage)
    validated, choice = search(settings, lineage.split)
    chosen = choice.scored
    curve = trace_learning(settings, lineage.split, validated)
    tested = measure_on_test(settings, lineage.split, validated, chosen)
    final_fit = fit(places, lineage.split, (*LEARNT, "test"), chosen.candidate, spark, keep_spark_model=True)
    on_test = next(one for one in tested if one.candidate == chosen.candidate)
    final = Scored(chosen.candidate, final_fit, on_test.scores)
    training = Training(lineage, validated, choice, tested, final, curve)
    model = publish_model(places, training)
    report = publish_training_report(places, training, model, products)
    recommendations = recommend_to_all(settings, model, lineage.dataset)
    close_training(settings, tracked, model, report, validated, chosen, final)
    record = training_record(places, lineage, validated, tested, model, report, recommendations, tracked.run.id)
    tell_where(record["uris"], settings.mlflow_tracking_uri)
    summarise(settings.input_name, record, settings.mlflow_tracking_uri, tracked.experiment)
    return record


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the flow from the command line."""
    return run(
        lambda settings: run_flow(train, settings, preload=load_mlflow),
        PARTS,
        description=__doc__ or "",
        settings_type=Settings,
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
