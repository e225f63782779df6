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
from tasks.options import EvaluationOptions, ModelChoice, ReviewsInput, SubjectOptions


def name_run(reviews: ReviewsInput, subject: SubjectOptions, model: ModelChoice, **_: object) -> str:
    """Return the name of a run: what is evaluated."""
    if subject.protocol == "original":
        return f"evaluate the original's sweeps on {input_name(reviews)}"
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
) -> dict[str, Any]:
    """Test one model beside the baselines, and publish what came of it with a report."""
    from flows.assessment import Assessment

    environment = read(Environment)
    assessment = Assessment(environment, reviews, ingest, dataset, split, models, evaluation)
    return assessment.of_original() if subject.protocol == "original" else assessment.of_subject(model, subject)


main = partial(run_stage, evaluate, uses=(DownloadOptions, SparkOptions))


if __name__ == "__main__":
    sys.exit(main())
