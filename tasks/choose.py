"""Choosing the model: the candidate with the best validation NDCG@10, baselines included."""

from collections.abc import Sequence
from dataclasses import dataclass

from loguru import logger
from prefect import task
from prefect.artifacts import create_table_artifact

from storage.manifest import Manifest
from tasks.candidates import Candidate

METRIC = "ndcg_10"


@dataclass(frozen=True)
class Scored:
    """A candidate with what it was fitted to and how it did on one part."""

    candidate: Candidate
    fitted: Manifest
    scores: Manifest

    @property
    def ndcg(self) -> float | None:
        """NDCG@10, where the candidate ranks."""
        value = self.scores.counts.get(METRIC)
        return None if value is None else float(value)


@task(name="choose")
def choose(scored: Sequence[Scored]) -> Scored:
    """Return the candidate of the highest validation NDCG@10; of equals, the first."""
    ranked = [one for one in scored if one.ndcg is not None]
    best = max(ranked, key=lambda one: one.ndcg or 0.0)
    create_table_artifact(
        [_row(one, is_chosen=one is best) for one in scored],
        key="candidates",
        description="Candidates on validation, all items ranked, seen items excluded",
    )
    logger.info("Chosen: {} with NDCG@10 {:.4f} on validation", best.candidate.label, best.ndcg)
    if best.candidate.is_baseline:
        logger.warning("No ALS model of the grid beats {}: widen --rank, --reg or --alpha", best.candidate.label)
    return best


def _row(one: Scored, *, is_chosen: bool) -> dict[str, object]:
    counts = one.scores.counts
    shown = ("ndcg_10", "recall_10", "hit_rate_10", "rmse")
    return {"candidate": one.candidate.label, "chosen": "yes" if is_chosen else ""} | {
        name: None if counts.get(name) is None else round(float(counts[name] or 0), 4) for name in shown
    }
