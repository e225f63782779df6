"""What a challenger is held against beside the champion: the best parameters so far, and the tries before it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from loguru import logger

from evaluation.gate import judge_standing, standing_of
from models.registry import KINDS, Candidate
from schema.errors import InvalidInput, RecommenderError
from schema.gate_verdicts import Standing
from schema.metric import Metric, MetricRow
from schema.verdicts import Finding
from storage import artifacts, canonical, layout
from storage.champion import ChampionHistory, read_history
from storage.inventory import list_artifacts
from storage.manifest import Manifest
from storage.protocol import Store
from tasks.fit import candidate_of
from tasks.model import Champion
from tasks.options import PlaceOptions
from tasks.score import Scored
from tasks.store import local_file

Test = Callable[[Sequence[Candidate]], list[Scored]]
"""Fits candidates and scores them on the test part of a split."""
Rows = list[dict[str, Any]]
"""Rows of metrics as JSON values."""


@dataclass(frozen=True)
class Best:
    """The best parameters so far.

    Attributes:
        model: A model that has them.
        promotion: The promotion in which they were shown; None if there is none, or it is gone.
        findings: What is to be known of them.
    """

    model: Manifest
    promotion: Manifest | None
    findings: tuple[Finding, ...] = ()

    @property
    def name(self) -> str:
        """What stands for them: the promotion, else the model."""
        return (self.promotion or self.model).name

    @property
    def candidate(self) -> Candidate:
        """The parameters."""
        return candidate_of(self.model)


def find_best(store: Store, history: ChampionHistory, champion: Manifest, split: Manifest) -> Best:
    """Return the best parameters so far, if they can be fitted to the split, and else the champion's, with a warning.

    Where the pointer is of before there were such, and after a rollback to a model that never served, they are the
    champion's.
    """
    promotion = artifacts.find(store, layout.PROMOTIONS, history.best) if history.best else None
    model_id = promotion.inputs["challenger"] if promotion else champion.id
    model = artifacts.find(store, layout.MODELS, model_id)
    why = lacking(model, split) if model else "the store has this model no more"
    if model and not why:
        return Best(model, promotion)
    return Best(champion, None, (Finding("best so far is gone", True, {"model_id": model_id, "why": why}),))


def try_champion(places: PlaceOptions, split: Manifest, chosen: Candidate, on_test: Test) -> Champion | None:
    """Return the champion with its parameters tested on a split, if they are not those that were chosen.

    A training does not fail for want of it: where the champion cannot be compared, the log says why.
    """
    try:
        model = find_champion(places.open_store(), split)
        if model is None or candidate_of(model) == chosen:
            return None
        return Champion(model.id, *on_test([candidate_of(model)]))
    except (RecommenderError, ValueError, LookupError, TypeError) as error:
        logger.warning("The report does not say what people would notice: the champion cannot be compared. {}", error)
        return None


def find_champion(store: Store, split: Manifest) -> Manifest | None:
    """Return the model that serves; None if there is none.

    Raises:
        InvalidInput: If it is gone, or the split lacks what it needs.
        CorruptObject: If it, or the pointer to it, is broken.
    """
    champion_id = read_history(store).champion_id
    if champion_id is None:
        return None
    model = artifacts.find(store, layout.MODELS, champion_id)
    if why := lacking(model, split) if model else "the store has it no more":
        raise InvalidInput(f"models/{champion_id} cannot be fitted to splits/{split.id}: {why}.")
    return model


def lacking(model: Manifest, split: Manifest) -> str | None:
    """Return what a split lacks that the parameters of a model need, or None."""
    needed = candidate_of(model).kind.needs & {"ratings", "timestamps"}
    absent = [column for column in sorted(needed) if not split.counts[f"has_{column}"]]
    return f"it has no {' and no '.join(absent)}" if absent else None


def count_tries(store: Store, challenger: Manifest, split: Manifest) -> int:
    """Return how many challengers were tried on a split, this one counted."""
    promotions = [one.manifest for one in list_artifacts(store, layout.PROMOTIONS)]
    tried = [one.inputs for one in promotions if isinstance(one, Manifest)]
    others = {one.get("challenger") for one in tried if one.get("split") == split.id}
    return len(others | {challenger.id})


def compare_standing(
    places: PlaceOptions, best: Best | None, split: Manifest, metric: Metric, rows: Rows, margin_share: float
) -> Finding | None:
    """Compare how the best parameters stand to popularity in these rows of metrics and in those of their promotion.

    None where the two cannot be compared: without such parameters, their promotion or its split, if that split held
    rows out in another way, or where one of them has no hit.
    """
    if best is None or best.promotion is None:
        return None
    before = artifacts.find(places.open_store(), layout.SPLITS, best.promotion.inputs["split"])
    if before is None or before.parameters.get("split") != split.parameters.get("split"):
        return None
    path = local_file(places, best.promotion, layout.METRICS)
    recorded: Any = canonical.decode_object(path.read_bytes(), str(path))["rows"]
    then, now = (_standing(one, best.candidate, metric) for one in (recorded, rows))
    return judge_standing(then, now, margin_share) if then and now else None


def _standing(rows: Rows, candidate: Candidate, metric: Metric) -> Standing | None:
    found = [MetricRow(**row) for row in rows if (row["metric"], row["k"]) == metric]
    wanted = candidate.model, dict(candidate.parameters)
    own = next((one for one in found if (one.model, one.parameters) == wanted), None)
    popularity = next((one for one in found if one.model in KINDS and KINDS[one.model].role == "popular"), None)
    return standing_of(own, popularity) if own and popularity else None
