"""What ``flows/promote.py`` does: challenge the champion, go back to an earlier one, tell the history."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, cast

from loguru import logger
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Failed

from flows.cli import StageFailed
from flows.pipeline import compare_on_test
from flows.promotion_view import decision_markdown, decision_view, history_view, reason_of
from flows.results import promotion_record
from flows.settings import Environment
from flows.terminal import stdout
from storage.champion import ChampionTerm
from tasks.contest import crown_model, find_contest, find_predecessor, read_reign
from tasks.options import EvaluationOptions, ModelChoice, PlaceOptions, PromotionOptions, SelectionOptions
from tasks.promotion import pass_gate

REFUSED = "Refused"


class PromotionRefused(StageFailed):
    """The gate kept a challenger out; ``record["decision"]`` says by which condition and figures.

    Attributes:
        event: What a notice of it says that happened.
    """

    event = "promotion_refused"


def challenge(
    environment: Environment,
    model: ModelChoice,
    promotion: PromotionOptions,
    selection: SelectionOptions,
    evaluation: EvaluationOptions,
) -> dict[str, Any]:
    """Compare a challenger with the champion, and make it the champion if the gate agrees."""
    places = environment.places
    contest = find_contest(places, model)
    challenger = contest.challenger
    _rename_run(f"promote {challenger.id}")
    if challenger.id == contest.reign.champion_id:
        logger.info("models/{} is the champion already: nothing to do", challenger.id)
        return {"outcome": "unchanged", "ids": {"challenger": challenger.id, "champion": challenger.id}}
    scored = compare_on_test(environment, contest.split, contest.candidates, evaluation)
    verdict = pass_gate(places, contest, scored, selection, evaluation, promotion)
    published, decision = verdict.artifact, verdict.decision
    stdout().print(decision_view(decision))
    create_markdown_artifact(decision_markdown(decision, published.id), key="promotion", description="The decision")
    record = promotion_record(places, contest, scored, published, decision)
    if decision["promoted"]:
        reason = promotion.promotion_reason or reason_of(decision)
        successor = ChampionTerm(challenger.id, datetime.now(UTC).isoformat(), reason, published.id)
        return record | {"pointer": crown_model(places, challenger, successor, contest.reign)}
    if model.model_id is None and not verdict.is_new:
        logger.info(
            "models/{} was refused before ({}), and nothing has changed: nothing to do", challenger.id, published.name
        )
        return record | {"outcome": "unchanged"}
    return end_refused(decision["sentence"], record)


def end_refused(message: str, record: dict[str, Any]) -> dict[str, Any]:
    """Return what a flow returns to end refused: whoever called it gets PromotionRefused raised.

    For Prefect it is a state of the type Failed, so that automations and hooks for failures see it, under the name
    Refused, with the reason as its message and the exception as its result.
    """
    state: State[Any] = Failed(name=REFUSED, message=message, data=PromotionRefused(message, record))
    return cast("dict[str, Any]", state)  # Prefect takes a state that a flow returns for how the flow ended


def go_back(places: PlaceOptions, model: ModelChoice, promotion: PromotionOptions) -> dict[str, Any]:
    """Make the champion before this one, or a model that is named, the champion, if it is whole."""
    reign = read_reign(places.open_store())
    chosen = find_predecessor(places, model, reign)
    _rename_run(f"roll back to {chosen.id}")
    ids = {"champion": chosen.id, "previous": reign.champion_id}
    if chosen.id == reign.champion_id:
        logger.info("models/{} is the champion already: nothing to do", chosen.id)
        return {"outcome": "unchanged", "ids": ids}
    successor = ChampionTerm(chosen.id, datetime.now(UTC).isoformat(), promotion.promotion_reason)
    pointer = crown_model(places, chosen, successor, reign)
    stdout().print(history_view(places.store_uri, [successor, *reign.history]))
    return {"outcome": "rolled back", "ids": ids, "pointer": pointer}


def tell_history(places: PlaceOptions) -> dict[str, Any]:
    """Print who was the champion when and why."""
    store = places.open_store()
    reign = read_reign(store)
    stdout().print(history_view(store.uri, reign.history))
    history = [asdict(entry) for entry in reign.history]
    return {"store": store.uri, "champion": reign.champion_id, "history": history}


def _rename_run(name: str) -> None:
    with get_client(sync_client=True) as client:
        client.update_flow_run(flow_run.id, name=name)
