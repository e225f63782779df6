"""A promotion: what can be asked of it, and its decision as an artifact, whatever the answer."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from prefect import task
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

import evaluation.checks
import evaluation.comparison
import evaluation.display
import evaluation.gate
import evaluation.guard
import evaluation.intervals
import tasks.choose
import tasks.gate
from storage import canonical, layout
from storage.identity import code_version
from storage.manifest import Manifest
from tasks.choose import Scored, SelectionOptions
from tasks.contest import Contest
from tasks.gate import decide_promotion
from tasks.measured import EvaluationOptions
from tasks.places import PlaceOptions
from tasks.publication import publish_once
from tasks.retrying import COMPUTE_RETRIES
from tasks.score import read_rows
from tasks.tables import local_file

CODE = code_version(
    evaluation.checks,
    evaluation.comparison,
    evaluation.display,
    evaluation.gate,
    evaluation.guard,
    evaluation.intervals,
    tasks.choose,
    tasks.gate,
)


class PromotionOptions(BaseModel):
    """Who becomes the champion, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    promotion_margin: float = Field(
        0.05,
        ge=0,
        lt=1,
        description="Share of the champion's metric that a challenger must be shown not to lose more of; 0: it must be "
        "shown to be better.",
    )
    promotion_reason: str | None = Field(
        None,
        min_length=1,
        max_length=500,
        description="Why, for the history; a promotion has its figures as a reason of its own, a rollback needs one.",
        json_schema_extra={"flag": "--reason", "metavar": "TEXT", "variable": False},
    )
    roll_back: bool = Field(
        default=False,
        description="Go back to the champion before this one, or to the one that --model names, without a comparison.",
        json_schema_extra={"flag": "--rollback", "variable": False},
    )
    show_history: bool = Field(
        default=False,
        description="Print who was the champion when and why, and change nothing.",
        json_schema_extra={"flag": "--history", "variable": False},
    )

    @field_validator("promotion_reason")
    @classmethod
    def _without_margins(cls, reason: str | None) -> str | None:
        if reason is not None and not reason.strip():
            raise ValueError("expected a reason, in words")
        return reason and reason.strip()

    @model_validator(mode="after")
    def _check_what_is_asked(self) -> "PromotionOptions":
        if self.roll_back and self.promotion_reason is None:
            raise ValueError("--rollback needs --reason TEXT: it stands in the history in place of a comparison.")
        if self.roll_back and self.show_history:
            raise ValueError("--rollback changes the champion and --history changes nothing; give one of the two.")
        return self


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
