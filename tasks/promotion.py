"""A promotion: what can be asked of it, and its decision as an artifact, whatever the answer."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from prefect import task

import evaluation.checks
import evaluation.comparison
import evaluation.gate
import evaluation.guard
import evaluation.intervals
import reports.display
import tasks.choose
import tasks.gate
from storage import canonical, layout
from storage.identity import code_version
from storage.manifest import Manifest
from tasks.contest import Contest
from tasks.execution import COMPUTE_RETRIES
from tasks.gate import decide_promotion
from tasks.options import EvaluationOptions, PlaceOptions, PromotionOptions, SelectionOptions
from tasks.score import Scored, read_rows
from tasks.store import local_file, publish_once

CODE = code_version(
    evaluation.checks,
    evaluation.comparison,
    reports.display,
    evaluation.gate,
    evaluation.guard,
    evaluation.intervals,
    tasks.choose,
    tasks.gate,
)


@dataclass(frozen=True)
class Verdict:
    """What the gate said.

    Attributes:
        artifact: Where it is published.
        decision: As ``decision.json`` holds it, JSON values.
        is_new: Whether it was decided now, rather than found as an earlier run left it.
    """

    artifact: Manifest
    decision: dict[str, Any]
    is_new: bool


@task(name="gate", **COMPUTE_RETRIES)
def pass_gate(
    places: PlaceOptions,
    contest: Contest,
    scored: Sequence[Scored],
    selection: SelectionOptions,
    evaluation: EvaluationOptions,
    options: PromotionOptions,
) -> Verdict:
    """Publish and return the decision: ``decision.json``, with ``metrics.json`` of all that were compared.

    Args:
        places: The store.
        contest: Challenger and champion.
        scored: They, a random scorer and popularity, fitted to train and validation of the split, on its test part.
        selection: The metric that decides, and what the guard may do.
        evaluation: Who is evaluated.
        options: What may be lost.

    Raises:
        InvalidInput: If the metric is not kept for each user.
    """
    margin, is_new = options.promotion_margin, False

    def build(folder: Path) -> dict[str, Any]:
        nonlocal is_new
        is_new = True
        rows = [row for one in scored for row in read_rows(places, one.scores)]
        metrics = {"rows": [asdict(row) for row in rows]}
        (folder / layout.METRICS).write_bytes(canonical.encode(metrics, indent=2))
        decision = decide_promotion(places, contest, scored, selection, evaluation, margin)
        (folder / layout.DECISION).write_bytes(canonical.encode(decision, indent=2))
        return {"is_promoted": decision["promoted"], "n_users": scored[0].scores.counts["n_users"]}

    champion = contest.champion
    promotion = publish_once(
        places,
        layout.PROMOTIONS,
        inputs={
            "challenger": contest.challenger.id,
            "split": contest.split.id,
            **({"champion": champion.id} if champion else {}),
        },
        parameters={
            **selection.model_dump(mode="json"),
            "margin": margin,
            "evaluate_users": evaluation.evaluate_users,
            "test_scores": [one.scores.id for one in scored],
            "findings": [asdict(finding) for finding in contest.findings],
        },
        code=CODE,
        build=build,
    )
    path = local_file(places, promotion, layout.DECISION)
    return Verdict(promotion, canonical.decode_object(path.read_bytes(), str(path)), is_new)
