"""Promote a model to champion if it is shown to be no worse; go back to an earlier champion."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, cast

from loguru import logger
from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Failed

from flows.command_line import StageFailed, run
from flows.notices import NOTICES
from flows.options import DaskOptions, NoticeOptions, RunOptions
from flows.results import promotion_record
from flows.running import run_flow
from flows.settings import Settings
from flows.stages import compare_on_test
from flows.terminal import stdout
from reports.promotion import decision_markdown, decision_view, history_view, reason_of
from spark.options import SparkOptions
from storage.champion import ChampionTerm, read_history
from tasks.options import EvaluationOptions, ModelChoice, PlaceOptions, PromotionOptions, SelectionOptions
from tasks.promotion import decide, find_challenge, find_predecessor, make_champion

REFUSED = "Refused"

PARTS = (
    ModelChoice,
    PromotionOptions,
    SelectionOptions,
    EvaluationOptions,
    PlaceOptions,
    SparkOptions,
    DaskOptions,
    NoticeOptions,
    RunOptions,
)


class PromotionRefused(StageFailed):
    """The gate kept a challenger out; ``record["decision"]`` says by which condition and figures.

    Attributes:
        event: What a notice of it says that happened.
    """

    event = "promotion_refused"


def name_run() -> str:
    """Return the name of the flow run until its challenger is found."""
    settings: Settings = flow_run.parameters["settings"]
    if settings.roll_back:
        return f"roll back to {settings.model_id or 'the champion before'}"
    return f"promote {settings.model_id or 'the newest model'}"


@flow(name="promote", flow_run_name=name_run, **NOTICES)
def promote(settings: Settings) -> dict[str, Any]:
    """Compare a challenger with the champion on the challenger's split, and let it take the place if the gate agrees.

    A refusal is no crash: every task completes, the decision is published, and the champion stays. But whoever asked
    for a promotion did not get one, and a pipeline that goes on as if it had would serve the old model unawares. So the
    run ends in a state of the type Failed, named Refused, the exit code is 1, and the record is written. Where no model
    was named, so that nobody asked for this one, and it was refused before in the same words, nothing is to be done.
    """
    if settings.show_history:
        return show_history(settings)
    if settings.roll_back:
        return go_back(settings)
    places, selection = settings.part(PlaceOptions), settings.part(SelectionOptions)
    challenge = find_challenge(places, settings.part(ModelChoice))
    challenger = challenge.challenger
    _rename_run(f"promote {challenger.id}")
    if challenger.id == challenge.history.champion_id:
        logger.info("models/{} is the champion already: nothing to do", challenger.id)
        return {"outcome": "unchanged", "ids": {"challenger": challenger.id, "champion": challenger.id}}
    scored = compare_on_test(settings, challenge.split, challenge.candidates)
    evaluation, options = settings.part(EvaluationOptions), settings.part(PromotionOptions)
    decision = decide(places, challenge, scored, selection, evaluation, options)
    stdout().print(decision_view(decision.record))
    page = decision_markdown(decision.record, decision.artifact.id)
    create_markdown_artifact(page, key="promotion", description="The decision")
    record = promotion_record(places, challenge, scored, decision)
    if decision.record["promoted"]:
        reason = settings.promotion_reason or reason_of(decision.record)
        term = ChampionTerm(challenger.id, datetime.now(UTC).isoformat(), reason, decision.artifact.id)
        return record | {"pointer": make_champion(places, challenger, term, challenge.history)}
    if settings.model_id is None and not decision.is_new:
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


def go_back(settings: Settings) -> dict[str, Any]:
    """Make the champion before this one, or a model that is named, the champion, if it is whole."""
    places = settings.part(PlaceOptions)
    history = read_history(places.open_store())
    model = find_predecessor(places, settings.part(ModelChoice), history)
    _rename_run(f"roll back to {model.id}")
    ids = {"champion": model.id, "previous": history.champion_id}
    if model.id == history.champion_id:
        logger.info("models/{} is the champion already: nothing to do", model.id)
        return {"outcome": "unchanged", "ids": ids}
    term = ChampionTerm(model.id, datetime.now(UTC).isoformat(), settings.promotion_reason)
    pointer = make_champion(places, model, term, history)
    stdout().print(history_view(places.store_uri, [asdict(one) for one in (term, *history.terms)]))
    return {"outcome": "rolled back", "ids": ids, "pointer": pointer}


def show_history(settings: Settings) -> dict[str, Any]:
    """Print who was the champion when and why."""
    store = settings.part(PlaceOptions).open_store()
    history = read_history(store)
    terms = [asdict(one) for one in history.terms]
    stdout().print(history_view(store.uri, terms))
    return {"store": store.uri, "champion": history.champion_id, "history": terms}


def _rename_run(name: str) -> None:
    with get_client(sync_client=True) as client:
        client.update_flow_run(flow_run.id, name=name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the flow from the command line; the history needs no flow."""
    return run(
        lambda settings: show_history(settings) if settings.show_history else run_flow(promote, settings),
        PARTS,
        description=__doc__ or "",
        settings_type=Settings,
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
