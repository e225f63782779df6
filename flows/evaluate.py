"""Evaluate: how good a published model is, or recommendations made elsewhere, on any split of any reviews."""

import sys
from functools import partial
from typing import Any

from evaluation.options import SplitOptions
from flows.cli import run_stage, stage
from flows.settings import DEFAULT, Environment, input_name, read
from models.registry import ModelOptions
from reviews.options import DownloadOptions, IngestOptions
from spark.options import DatasetOptions, SparkOptions
from tasks.options import EvaluationOptions, ModelChoice, OnlineOptions, PlaceOptions, ReviewsInput, SubjectOptions


def name_run(reviews: ReviewsInput, subject: SubjectOptions, model: ModelChoice, **_: object) -> str:
    """Return the name of a run: what is evaluated."""
    if subject.protocol == "original":
        return f"evaluate the original's sweeps on {input_name(reviews)}"
    if subject.is_online:
        return "evaluate what people did"
    lists = subject.recommendations_file
    return f"evaluate {lists.name if lists else model.model_id or 'the champion'}"


@stage(name_run)
def evaluate(
    *,
    model: ModelChoice = DEFAULT.model,
    subject: SubjectOptions = DEFAULT.subject,
    reviews: ReviewsInput = DEFAULT.reviews,
    dataset: DatasetOptions = DEFAULT.dataset,
    split: SplitOptions = DEFAULT.split,
    evaluation: EvaluationOptions = DEFAULT.evaluation,
    models: ModelOptions = DEFAULT.models,
    ingest: IngestOptions = DEFAULT.ingest,
    online: OnlineOptions = DEFAULT.online,
) -> dict[str, Any]:
    """Test one model beside the baselines, and publish what came of it with a report; or report what people did."""
    environment = read(Environment)
    if subject.is_online:
        return report_online(environment.places, online)
    from flows.assessment import Assessment

    assessment = Assessment(environment, reviews, ingest, dataset, split, models, evaluation)
    return assessment.of_original() if subject.protocol == "original" else assessment.of_subject(model, subject)


def report_online(places: PlaceOptions, options: OnlineOptions) -> dict[str, Any]:
    """Publish and print what people did with served recommendations, and the A/B tests."""
    from reports.online import AB_TITLE, RATES_TITLE, online_notes, tabulate_rates, tabulate_tests
    from reports.tables import stdout, text
    from tasks.online import evaluate_online

    published, record = evaluate_online(places, options)
    stdout().print(tabulate_rates(record).to_rich(RATES_TITLE))
    if record["experiments"]:
        stdout().print(tabulate_tests(record).to_rich(AB_TITLE))
    for note in online_notes(record):
        stdout().print(text(note, limit=400))
    return {"ids": {"evaluation": published.id}, "evaluated": published.counts["label"], **record}


main = partial(run_stage, evaluate, uses=(DownloadOptions, SparkOptions))


if __name__ == "__main__":
    sys.exit(main())
