"""Promote: put a new model in the champion's place if it is shown to be no worse, or go back to an earlier one."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

from loguru import logger

from evaluation.options import PromotionOptions
from flows.cli import Result, StageFailed, run_stage, stage
from flows.settings import DEFAULT, Environment, read
from spark.options import SparkOptions
from storage.champion import ChampionHistory, ChampionTerm, read_history
from storage.manifest import Manifest
from tasks.options import (
    EvaluationOptions,
    ModelChoice,
    OnlineOptions,
    PlaceOptions,
    SelectionOptions,
    TrackingOptions,
)

REFUSED = "Refused"


class PromotionRefused(StageFailed):
    """The gate kept a challenger out; ``record["decision"]`` says by which condition and figures.

    Attributes:
        event: The event of its notice.
    """

    event = "promotion_refused"


def name_run(model: ModelChoice, promotion: PromotionOptions, **_: object) -> str:
    """Return the name of a run until its challenger is found."""
    if promotion.roll_back:
        return f"roll back to {model.model_id or 'the champion before'}"
    return f"promote {model.model_id or 'the newest model'}"


@stage(name_run)
def promote(
    *,
    model: ModelChoice = DEFAULT.model,
    promotion: PromotionOptions = DEFAULT.promotion,
    selection: SelectionOptions = DEFAULT.selection,
    evaluation: EvaluationOptions = DEFAULT.evaluation,
    online: OnlineOptions = DEFAULT.online,
) -> dict[str, Any]:
    """Compare a challenger with the champion on the challenger's split, and let it take the place if the gate agrees.

    A refusal is no crash: every task completes, the decision is published, and the champion stays. But whoever asked
    for a promotion did not get one, and a pipeline that goes on as if it had would serve the old model unawares. So the
    run ends in a state of the type Failed, named Refused, the exit code is 1, and the record is written. Where no model
    was named, so that nobody asked for this one, and it was refused before in the same words, nothing is to be done.
    Neither is it where challenger and champion give every user the same lists: what was asked for is served already.
    """
    environment = read(Environment)
    if promotion.show_history:
        return show_history(environment.places)
    from tasks.registration import follow_champion

    if promotion.roll_back:
        result = go_back(environment.places, model, promotion)
    else:
        result = compare_with_champion(environment, model, promotion, selection, evaluation, online)
    follow_champion(environment.tracking, environment.places)
    return result


def compare_with_champion(
    environment: Environment,
    model: ModelChoice,
    options: PromotionOptions,
    selection: SelectionOptions,
    evaluation: EvaluationOptions,
    online: OnlineOptions,
) -> dict[str, Any]:
    """Compare a challenger with the champion, and make it the champion if the gate agrees."""
    from prefect.artifacts import create_markdown_artifact

    from flows.pipeline import Trials, place_of
    from reports.promotion import decision_markdown, decision_view, reason_of
    from reports.tables import stdout
    from tasks.bundle import require_bundle
    from tasks.online import find_online_test
    from tasks.promotion import are_identical, decide, find_challenge
    from tasks.score import metric_records

    places = environment.places
    challenge = find_challenge(places, model)
    challenger, champion = challenge.challenger, challenge.champion
    _rename_run(f"promote {challenger.id}")
    if challenger.id == challenge.history.champion_id:
        bundle = require_bundle(places, challenger)
        return _unchanged({"challenger": challenger.id, "champion": challenger.id, "bundle": bundle.id})
    if champion and are_identical(places, challenge, evaluation):
        same = f"models/{challenger.id} gives every user the same lists as the champion, models/{champion.id}"
        logger.bind(in_short=True).info("{}: nothing to promote", same)
        return {"outcome": "identical", "ids": {"challenger": challenger.id, "champion": champion.id}}
    scored = Trials(environment, challenge.split, evaluation).beside_yardsticks(challenge.candidates)
    is_asked = champion is not None and options.promotion_online == "require"
    tested = find_online_test(places, challenge.models, online, options.promotion_margin) if is_asked else None
    decision = decide(places, challenge, scored, selection, evaluation, options, tested)
    published, sentence = decision.artifact, decision.record["sentence"]
    stdout().print(decision_view(decision.record))
    page = decision_markdown(decision.record, published.id)
    create_markdown_artifact(page, key="promotion", description="The decision")
    record: dict[str, Any] = {
        "outcome": "promoted" if decision.record["promoted"] else "refused",
        "ids": {
            "challenger": challenger.id,
            "champion": champion.id if champion else None,
            "split": challenge.split.id,
            "promotion": published.id,
        },
        "decision": decision.record,
        "metrics": metric_records(places, scored),
        "uris": {"promotion": place_of(places, published)},
    }
    if decision.record["promoted"]:
        best = published.id if decision.record["best"] else challenge.history.best
        term = _new_term(challenger.id, options.promotion_reason or reason_of(decision.record), published.id, best)
        bundle = require_bundle(places, challenger)
        record["ids"]["bundle"] = bundle.id
        return record | {"pointer": serve(places, challenger, bundle, term, challenge.history)}
    if model.model_id is None and not decision.is_new:
        before = f"models/{challenger.id} was refused before ({published.name})"
        logger.bind(in_short=True).info("{}, and nothing has changed: nothing to do", before)
        return record | {"outcome": "unchanged"}
    return end_refused(sentence, record)


def end_refused(message: str, record: dict[str, Any]) -> dict[str, Any]:
    """Return what a flow returns to end refused: whoever called it gets PromotionRefused raised.

    For Prefect it is a state of the type Failed, so that automations and hooks for failures see it, under the name
    Refused, with the reason as its message and the exception as its result.
    """
    from prefect.states import Failed

    state: Any = Failed(name=REFUSED, message=message, data=PromotionRefused(message, record))
    return cast("dict[str, Any]", state)  # Prefect takes a state that a flow returns for how the flow ended


def go_back(places: PlaceOptions, choice: ModelChoice, options: PromotionOptions) -> dict[str, Any]:
    """Make the champion before this one, or a model that is named, the champion, if it is whole."""
    from tasks.bundle import require_bundle
    from tasks.promotion import find_predecessor

    history = read_history(places.open_store())
    model = find_predecessor(places, choice, history)
    _rename_run(f"roll back to {model.id}")
    bundle = require_bundle(places, model)
    ids = {"champion": model.id, "previous": history.champion_id, "bundle": bundle.id}
    if model.id == history.champion_id:
        return _unchanged(ids)
    term = _new_term(model.id, options.promotion_reason, best=history.best_of(model.id))
    pointer = serve(places, model, bundle, term, history)
    _print_history(places.store_uri, (term, *history.terms))
    return {"outcome": "rolled back", "ids": ids, "pointer": pointer}


def serve(
    places: PlaceOptions, model: Manifest, bundle: Manifest, term: ChampionTerm, history: ChampionHistory
) -> Mapping[str, object]:
    """Make a model the champion, show that it is on Prefect's pages, and return the pointer's record."""
    from tasks.addresses import mlflow_model_page
    from tasks.links import show_champion
    from tasks.promotion import make_champion
    from tasks.registration import registered_name

    pointer = make_champion(places, model, bundle, term, history)
    tracking = read(TrackingOptions)
    page = mlflow_model_page(tracking.mlflow_tracking_uri, registered_name(tracking))
    show_champion(places, model, term, history.champion_id, page)
    return pointer


def show_history(places: PlaceOptions) -> dict[str, Any]:
    """Print who was the champion when and why."""
    store = places.open_store()
    history = read_history(store)
    _print_history(store.uri, history.terms)
    return {"store": store.uri, "champion": history.champion_id, "history": [asdict(one) for one in history.terms]}


def show_history_only(promotion: PromotionOptions, **_: object) -> Result | None:
    """Print the history if that is asked for, which needs no flow."""
    return show_history(read(Environment).places) if promotion.show_history else None


def _print_history(uri: str, terms: Sequence[ChampionTerm]) -> None:
    from reports.promotion import history_view
    from reports.tables import stdout

    stdout().print(history_view(uri, [asdict(one) for one in terms]))


def _rename_run(name: str) -> None:
    from prefect.client.orchestration import get_client
    from prefect.runtime import flow_run

    with get_client(sync_client=True) as client:
        client.update_flow_run(flow_run.id, name=name)


def _unchanged(ids: dict[str, str | None]) -> dict[str, Any]:
    logger.bind(in_short=True).info("models/{} is the champion already: nothing to do", ids["champion"])
    return {"outcome": "unchanged", "ids": ids}


def _new_term(model_id: str, reason: str | None, promotion: str | None = None, best: str | None = None) -> ChampionTerm:
    return ChampionTerm(model_id, datetime.now(UTC).isoformat(), reason, promotion, best)


main = partial(run_stage, promote, uses=(SparkOptions, TrackingOptions), instead=show_history_only)


if __name__ == "__main__":
    sys.exit(main())
