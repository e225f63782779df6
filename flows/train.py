"""Train: from a reviews file to a published model, its report and recommendations for every user."""

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from loguru import logger

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
    SearchOptions,
    SelectionOptions,
    TrackingOptions,
)


@stage(lambda reviews, **_: f"train on {input_name(reviews)}", is_tracked=True)
def train(
    *,
    reviews: ReviewsInput = DEFAULT.reviews,
    products: ProductsInput = DEFAULT.products,
    models: ModelOptions = DEFAULT.models,
    search: SearchOptions = DEFAULT.search,
    selection: SelectionOptions = DEFAULT.selection,
    dataset: DatasetOptions = DEFAULT.dataset,
    split: SplitOptions = DEFAULT.split,
    evaluation: EvaluationOptions = DEFAULT.evaluation,
    recommend: RecommendOptions = DEFAULT.recommend,
    ingest: IngestOptions = DEFAULT.ingest,
    drift: DriftOptions = DEFAULT.drift,
) -> dict[str, Any]:
    """Ingest, build, split, search, test, publish, recommend, pack and track; what is done already is left as it is."""
    from flows import pipeline
    from storage import layout
    from tasks.addresses import hide_user, mlflow_model_page, mlflow_run_page
    from tasks.best import try_champion
    from tasks.blending import leave_one_out
    from tasks.bundle import publish_bundle
    from tasks.fit import candidate_of
    from tasks.ingest import keep_file
    from tasks.model import Training, publish_model
    from tasks.registration import follow_champion, registered_name
    from tasks.report import publish_training_report
    from tasks.score import metric_records
    from tasks.steps import step
    from tasks.tracking import check_tracking, close_training, open_training, summarise
    from tasks.tracking_client import open_client

    environment = read(Environment)
    places, tracking = environment.places, environment.tracking
    check_tracking(tracking)
    with ThreadPoolExecutor(1) as beside:
        beside.submit(open_client, tracking)  # which makes MLflow's tables, of a new database, while Spark works
        sold = keep_file(places, products.input_products) if products.input_products else None
        lineage = pipeline.make_split(environment, reviews, ingest, dataset, split, drift, sold)
    asked = {**flat_values(models), **flat_values(search), **flat_values(selection)}
    choices = {**asked, "evaluate_users": evaluation.evaluate_users}
    with step("tracking"):
        run = open_training(tracking, lineage, environment.run.environment, choices)
    trials = pipeline.Trials(environment, lineage.split, evaluation)
    tried, choice = trials.search(models, search, selection)
    validated = pipeline.kept(tried)
    trials.price_room(validated)
    curve = trials.trace_learning(validated, models)
    tested = trials.on_test(pipeline.finalists(validated, choice.scored))
    others = list(leave_one_out(choice.scored.candidate).values())
    without = trials.on_test(others) if others else []
    champion = try_champion(places, lineage.split, choice.scored.candidate, trials.on_test)
    final = trials.fit_on_all(choice.scored, tested)
    training = Training(lineage, tried, choice, tested, final, curve, without, champion)
    with step("report"):
        model = publish_model(places, training)
        report = publish_training_report(places, training, model, sold)
    recommendations = pipeline.recommend_to_all(places, model, lineage.dataset, recommend)
    with step("bundle"):
        bundle = publish_bundle(places, model, lineage.dataset, recommendations, sold)
    with step("tracking"):
        run = close_training(tracking, places, run, training, model, report)
        follow_champion(tracking, places)
    made = {**vars(lineage), "model": model, "report": report, "recommendations": recommendations, "bundle": bundle}
    record = pipeline.record_of(made) | {
        "chosen": candidate_of(model).model_dump(mode="json"),
        "metrics": metric_records(places, (*validated, *tested)),
        "uris": {
            "report": pipeline.place_of(places, report, layout.REPORT),
            "model": pipeline.place_of(places, model),
            "recommendations": pipeline.place_of(places, recommendations),
        },
        "pages": {
            "The report": mlflow_run_page(tracking.mlflow_tracking_uri, run.experiment, run.id, layout.REPORT),
            "The run in MLflow": mlflow_run_page(tracking.mlflow_tracking_uri, run.experiment, run.id),
            "The model in MLflow": mlflow_model_page(tracking.mlflow_tracking_uri, registered_name(tracking)),
        },
    }
    record["ids"]["mlflow_run"] = run.id
    for name, uri in record["uris"].items():
        logger.info("{}: {}", name.capitalize(), uri)
    logger.info("MLflow: {}", hide_user(tracking.mlflow_tracking_uri))
    summarise(places, input_name(reviews), record, tested, tracking.mlflow_tracking_uri, run.experiment)
    return record


main = partial(run_stage, train, uses=(DownloadOptions, TrackingOptions, SparkOptions), preload=["mlflow"])


if __name__ == "__main__":
    sys.exit(main())
