"""The original project's two sweeps, run again: its own figures, and honest ones beside them."""

from collections.abc import Sequence
from typing import Any

from loguru import logger

from flows.results import evaluation_record
from flows.settings import Settings
from flows.stages import baselines, fit_and_score, make_split
from models.original import SPLIT, original_sweeps
from reports.original import original_table
from reports.report_input import ScoredModel
from schema.errors import InvalidInput
from schema.metric import Metric
from tasks.choose import Scored
from tasks.model import Evaluation, publish_evaluation
from tasks.options import PlaceOptions
from tasks.report import publish_evaluation_report, row_of_original
from tasks.store import LEARNT


def evaluate_original(settings: Settings) -> dict[str, Any]:
    """Fit and score both sweeps as the original did, and publish them beside honest figures and a random scorer.

    Raises:
        InvalidInput: If the reviews have no ratings.
    """
    lineage = make_split(settings.model_copy(update=SPLIT))
    if not lineage.split.counts["has_ratings"]:
        raise InvalidInput("--protocol original needs ratings, and the input has none.")
    sweeps = original_sweeps(settings.models)
    points = [point for sweep in sweeps.values() for point in sweep]
    rivals = baselines(settings, lineage.split)
    grid = list({candidate.label: candidate for _, candidate in points}.values())
    scored = fit_and_score(settings, lineage.split, [*rivals, *grid], LEARNT, "test")
    found = {one.candidate.label: one for one in scored}
    tested = scored[: len(rivals)]
    beside = [(one.candidate.label, one) for one in tested if one.candidate.kind.role == "chance"]
    places = settings.part(PlaceOptions)
    rows: list[tuple[str, Scored]] = []
    for name, sweep in sweeps.items():
        table = [(label, found[candidate.label]) for label, candidate in sweep]
        _show(name, [row_of_original(places, label, one) for label, one in (*beside, *table)])
        rows += table
    best = min((found[candidate.label] for candidate in grid), key=lambda one: one.value(Metric("rmse")) or 0.0)
    evaluation = Evaluation(lineage, best, [*tested, best], original=[*beside, *dict(rows).items()])
    published = publish_evaluation(places, evaluation)
    report = publish_evaluation_report(places, evaluation, published)
    return evaluation_record(places, lineage, scored, published, report)


def _show(name: str, rows: Sequence[ScoredModel]) -> None:
    logger.info("The original's sweep of {}, on test\n{}", name, original_table(rows))
