"""Compare a model with the champion, go back to an earlier champion, and show the history."""

from collections.abc import Sequence
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
from flows.settings import Environment
from flows.terminal import stdout
from reports.promotion import decision_markdown, decision_view, history_view, reason_of
from storage import layout
from storage.champion import ChampionTerm, read_history
from tasks.options import EvaluationOptions, ModelChoice, PlaceOptions, PromotionOptions, SelectionOptions
from tasks.promotion import Challenge, Decision, decide, find_challenge, find_predecessor, make_champion
from tasks.score import Scored, metric_records

REFUSED = "Refused"


class PromotionRefused(StageFailed):
    """The gate kept a challenger out; ``record["decision"]`` says by which condition and figures.

    Attributes:
        event: The event of its notice.
    """

    event = "promotion_refused"


def compare_with_champion(
    environment: Environment,
    model: ModelChoice,
    options: PromotionOptions,
    selection: SelectionOptions,
    evaluation: EvaluationOptions,
) -> dict[str, Any]:
    """Compare a challenger with the champion, and make it the champion if the gate agrees."""
    places = environment.places
    challenge = find_challenge(places, model)
    challenger = challenge.challenger
    _rename_run(f"promote {challenger.id}")
    if challenger.id == challenge.history.champion_id:
        logger.info("models/{} is the champion already: nothing to do", challenger.id)
        return {"outcome": "unchanged", "ids": {"challenger": challenger.id, "champion": challenger.id}}
    scored = compare_on_test(environment, challenge.split, challenge.candidates, evaluation)
    decision = decide(places, challenge, scored, selection, evaluation, options)
    stdout().print(decision_view(decision.record))
    page = decision_markdown(decision.record, decision.artifact.id)
    create_markdown_artifact(page, key="promotion", description="The decision")
    record = promotion_record(places, challenge, scored, decision)
    if decision.record["promoted"]:
        reason = options.promotion_reason or reason_of(decision.record)
        term = ChampionTerm(challenger.id, datetime.now(UTC).isoformat(), reason, decision.artifact.id)
        return record | {"pointer": make_champion(places, challenger, term, challenge.history)}
    if model.model_id is None and not decision.is_new:
        logger.info(
            "models/{} was refused before ({}), and nothing has changed: nothing to do",
            challenger.id,
            decision.artifact.name,
        )
        return record | {"outcome": "unchanged"}
    return end_refused(decision.record["sentence"], record)


def end_refused(message: str, record: dict[str, Any]) -> dict[str, Any]:
    """Return what a flow returns to end refused: whoever called it gets PromotionRefused raised.

    For Prefect it is a state of the type Failed, so that automations and hooks for failures see it, under the name
    Refused, with the reason as its message and the exception as its result.
    """
    state: State[Any] = Failed(name=REFUSED, message=message, data=PromotionRefused(message, record))
    return cast("dict[str, Any]", state)  # Prefect takes a state that a flow returns for how the flow ended


def go_back(places: PlaceOptions, choice: ModelChoice, options: PromotionOptions) -> dict[str, Any]:
    """Make the champion before this one, or a model that is named, the champion, if it is whole."""
    history = read_history(places.open_store())
    model = find_predecessor(places, choice, history)
    _rename_run(f"roll back to {model.id}")
    ids = {"champion": model.id, "previous": history.champion_id}
    if model.id == history.champion_id:
        logger.info("models/{} is the champion already: nothing to do", model.id)
        return {"outcome": "unchanged", "ids": ids}
    term = ChampionTerm(model.id, datetime.now(UTC).isoformat(), options.promotion_reason)
    pointer = make_champion(places, model, term, history)
    stdout().print(history_view(places.store_uri, [asdict(one) for one in (term, *history.terms)]))
    return {"outcome": "rolled back", "ids": ids, "pointer": pointer}


def show_history(places: PlaceOptions) -> dict[str, Any]:
    """Print who was the champion when and why."""
    store = places.open_store()
    history = read_history(store)
    terms = [asdict(one) for one in history.terms]
    stdout().print(history_view(store.uri, terms))
    return {"store": store.uri, "champion": history.champion_id, "history": terms}


def _rename_run(name: str) -> None:
    with get_client(sync_client=True) as client:
        client.update_flow_run(flow_run.id, name=name)


def promotion_record(
    places: PlaceOptions, challenge: Challenge, scored: Sequence[Scored], decision: Decision
) -> dict[str, Any]:
    """Return the outcome, ids, decision and metrics of a comparison with the champion."""
    champion = challenge.champion.id if challenge.champion else None
    return {
        "outcome": "promoted" if decision.record["promoted"] else "refused",
        "ids": {
            "challenger": challenge.challenger.id,
            "champion": champion,
            "split": challenge.split.id,
            "promotion": decision.artifact.id,
        },
        "decision": decision.record,
        "metrics": metric_records(places, scored),
        "uris": {
            "promotion": places.open_store().locate(
                layout.artifact_prefix(decision.artifact.kind, decision.artifact.id)
            )
        },
    }
