"""How good a published model is, or recommendations that were made elsewhere, on any split of any reviews."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from prefect import flow
from pydantic import BaseModel

from evaluation.checks import Finding
from evaluation.options import SplitOptions
from flows.command_line import run
from flows.notices import NOTICES
from flows.options import DaskOptions, NoticeOptions, RunOptions
from flows.original import evaluate_original
from flows.results import evaluation_record
from flows.running import run_flow
from flows.settings import Settings
from flows.stages import baselines, fit_and_score, make_split, split_as_asked
from models.registry import Candidate, option_groups
from reviews.ingest import IngestOptions
from reviews.options import DownloadOptions
from schema.errors import InvalidInput
from spark.options import DatasetOptions, SparkOptions
from storage.manifest import Manifest
from tasks.choose import Scored
from tasks.evidence import find_what_was_taken_out, look_for_leaks
from tasks.model import Evaluation, Lineage, find_windows, publish_evaluation
from tasks.options import EvaluationOptions, ModelChoice, PlaceOptions, ReviewsInput, SubjectOptions
from tasks.published import find_lineage, find_model
from tasks.rank import candidate_of
from tasks.raw import keep_file
from tasks.report import publish_evaluation_report
from tasks.score_lists import score_as_is, score_lists
from tasks.split import split_dataset
from tasks.store import LEARNT

PARTS: tuple[type[BaseModel], ...] = (
    ModelChoice,
    SubjectOptions,
    ReviewsInput,
    DownloadOptions,
    IngestOptions,
    DatasetOptions,
    SplitOptions,
    *option_groups().values(),
    EvaluationOptions,
    PlaceOptions,
    SparkOptions,
    DaskOptions,
    NoticeOptions,
    RunOptions,
)


@flow(name="evaluate", flow_run_name="evaluate {settings.subject_name}", **NOTICES)
def evaluate(settings: Settings) -> dict[str, Any]:
    """Test one model beside the baselines, and publish what came of it with a report."""
    places, subject = settings.part(PlaceOptions), settings.part(SubjectOptions)
    if subject.protocol == "original":
        return evaluate_original(settings)
    if subject.recommendations_file:
        lineage = make_split(settings) if settings.input_reviews else _lineage_of_model(settings)[1]
        tested, findings = _test_lists(settings, lineage, subject)
    else:
        model, lineage = _lineage_of_model(settings)
        tested, findings = _test_model(settings, lineage, model)
    windows = _test_in_windows(settings, lineage, tested) if subject.rolling_windows else []
    evaluation = Evaluation(lineage, tested[-1], tested, windows)
    published = publish_evaluation(places, evaluation)
    report = publish_evaluation_report(places, evaluation, published, findings)
    return evaluation_record(places, lineage, tested, published, report)


def _lineage_of_model(settings: Settings) -> tuple[Manifest, Lineage]:
    """Return the model, and what it is evaluated on: the reviews that are named, else those it was trained on."""
    places = settings.part(PlaceOptions)
    model, dataset = find_model(places, settings.part(ModelChoice))
    if settings.input_reviews:
        return model, make_split(settings)
    return model, find_lineage(places, dataset, split_as_asked(settings, dataset))


def _test_model(settings: Settings, lineage: Lineage, model: Manifest) -> tuple[list[Scored], list[Finding]]:
    places, candidate, split = settings.part(PlaceOptions), candidate_of(model), lineage.split
    rivals = [one for one in baselines(settings, split) if one != candidate]
    if not settings.as_is:
        return fit_and_score(settings, split, [*rivals, candidate], LEARNT, "test"), []
    if model.inputs["dataset"] != lineage.dataset.id:
        raise InvalidInput(
            f"--as-is needs the dataset that models/{model.id} was trained on, {model.inputs['dataset']}; the input "
            f"gives {lineage.dataset.id}. Leave --as-is out to fit its parameters to these reviews."
        )
    tested = fit_and_score(settings, split, rivals, LEARNT, "test")
    as_is = score_as_is.submit(places, split, model, candidate, settings.part(EvaluationOptions)).result()
    return [*tested, as_is], [look_for_leaks(places, split, model)]


def _test_lists(settings: Settings, lineage: Lineage, subject: SubjectOptions) -> tuple[list[Scored], list[Finding]]:
    places, split, path = settings.part(PlaceOptions), lineage.split, subject.recommendations_file
    assert path is not None  # noqa: S101 - for the type checker
    lists = keep_file(places, path)
    tested = fit_and_score(settings, split, baselines(settings, split), LEARNT, "test")
    named, options = Candidate(model=path.name, parameters={}), settings.part(EvaluationOptions)
    scored = score_lists.submit(places, split, lineage.dataset, lists, named, options).result()
    return [*tested, scored], [find_what_was_taken_out(scored)]


def _test_in_windows(
    settings: Settings, lineage: Lineage, tested: Sequence[Scored]
) -> list[tuple[str, Sequence[Scored]]]:
    """Fit what was fitted here anew for each window of time, and test it there."""
    places, competing = settings.part(PlaceOptions), [one.candidate for one in tested]
    if settings.recommendations_file or settings.as_is:
        raise InvalidInput("--windows fits a model anew for each window, which --recommendations and --as-is do not.")
    windows = find_windows(places, lineage.dataset, settings.rolling_windows, settings.test_share)
    scored: list[tuple[str, Sequence[Scored]]] = []
    for window in windows:
        first, after = (datetime.fromtimestamp(second, tz=UTC) for second in (window.first, window.after))
        chosen = {"split": "time", "split_at": first, "split_until": after, "leave_last_n": 1}
        options = settings.part(SplitOptions).model_copy(update=chosen)
        split = split_dataset(places, lineage.dataset, options)
        scored.append((window.label, fit_and_score(settings, split, competing, LEARNT, "test")))
    return scored


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the flow from the command line."""
    return run(
        lambda settings: run_flow(evaluate, settings),
        PARTS,
        description=__doc__ or "",
        settings_type=Settings,
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
