"""Train: from a reviews file to a published model, its report and recommendations for every user."""

import sys
from collections.abc import Sequence
from typing import Any

from evaluation.options import SplitOptions
from flows.cli import run_stage, stage
from flows.settings import DEFAULT, Environment, flat_values, input_name, read
from models.registry import ModelOptions
from reviews.options import DownloadOptions, IngestOptions
from spark.options import DatasetOptions, SparkOptions
from tasks.options import (
    DriftOptions,
    EvaluationOptions,
    ProductsInput,
    RecommendOptions,
    ReviewsInput,
    SelectionOptions,
    TrackingOptions,
)


@stage(lambda reviews, **_: f"train on {input_name(reviews)}")
def train(
    *,
    reviews: ReviewsInput = DEFAULT.reviews,
    products: ProductsInput = DEFAULT.products,
    models: ModelOptions = DEFAULT.models,
    selection: SelectionOptions = DEFAULT.selection,
    dataset: DatasetOptions = DEFAULT.dataset,
    split: SplitOptions = DEFAULT.split,
    evaluation: EvaluationOptions = DEFAULT.evaluation,
    recommend: RecommendOptions = DEFAULT.recommend,
    ingest: IngestOptions = DEFAULT.ingest,
    drift: DriftOptions = DEFAULT.drift,
) -> dict[str, Any]:
    """Ingest, build, split, search, test, publish, recommend and track; what is done already is left as it is."""
    from flows import pipeline
    from flows.pipeline import log_places, training_record
    from tasks.ingest import keep_file
    from tasks.model import Training, publish_model
    from tasks.report import publish_training_report
    from tasks.tracking import check_tracking, close_training, open_training, summarise

    environment = read(Environment)
    places, tracking = environment.places, environment.tracking
    check_tracking(tracking)
    titles = keep_file(places, products.input_products) if products.input_products else None
    lineage = pipeline.make_split(environment, reviews, ingest, dataset, split, drift)
    choices = {**flat_values(models), **flat_values(selection), "evaluate_users": evaluation.evaluate_users}
    run = open_training(tracking, lineage, environment.run.environment, choices)
    validated, choice = pipeline.search(environment, lineage.split, models, selection, evaluation)
    curve = pipeline.trace_learning(environment, lineage.split, validated, models, evaluation)
    tested = pipeline.measure_on_test(environment, lineage.split, validated, choice.scored, evaluation)
    final = pipeline.fit_on_all(environment, lineage.split, choice.scored, tested)
    training = Training(lineage, validated, choice, tested, final, curve)
    model = publish_model(places, training)
    report = publish_training_report(places, training, model, titles)
    recommendations = pipeline.recommend_to_all(places, model, lineage.dataset, recommend)
    run = close_training(tracking, places, run, training, model, report)
    record = training_record(places, lineage, validated, tested, model, report, recommendations, run.id)
    log_places(record["uris"], tracking.mlflow_tracking_uri)
    summarise(input_name(reviews), record, tracking.mlflow_tracking_uri, run.experiment)
    return record


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the flow from the command line."""
    uses = (DownloadOptions, TrackingOptions, SparkOptions)
    return run_stage(train, arguments, uses=uses, preload=_load_mlflow)


def _load_mlflow() -> None:
    from tasks.tracking import load_mlflow

    load_mlflow()


if __name__ == "__main__":
    sys.exit(main())
