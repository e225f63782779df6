"""Put a new model in the champion's place only if it is shown to be no worse; go back to an earlier champion."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from loguru import logger
from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from flows.command_line import run
from flows.notices import NOTICES
from flows.options import DaskOptions, NoticeOptions, RunOptions
from flows.promotion_view import decision_markdown, decision_view, history_view, reason_of
from flows.refused import end_refused
from flows.results import promotion_record
from flows.running import run_flow
from flows.settings import Settings
from flows.stages import compare_on_test
from flows.terminal import stdout
from spark.options import SparkOptions
from storage.champion import ChampionTerm
from tasks.contest import crown_model, find_contest, find_predecessor, read_reign
from tasks.options import EvaluationOptions, ModelChoice, PlaceOptions, PromotionOptions, SelectionOptions
from tasks.promotion import pass_gate

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
        return tell_history(settings)
    if settings.roll_back:
        return go_back(settings)
    places = settings.part(PlaceOptions)
    contest = find_contest(places, settings.part(ModelChoice))
    challenger = contest.challenger
    _rename_run(f"promote {challenger.id}")
    if challenger.id == contest.reign.champion_id:
        logger.info("models/{} is the champion already: nothing to do", challenger.id)
        return {"outcome": "unchanged", "ids": {"challenger": challenger.id, "champion": challenger.id}}
    scored = compare_on_test(settings, contest.split, contest.candidates)
    selection, evaluation = settings.part(SelectionOptions), settings.part(EvaluationOptions)
    verdict = pass_gate(places, contest, scored, selection, evaluation, settings.part(PromotionOptions))
    promotion, decision = verdict.artifact, verdict.decision
    stdout().print(decision_view(decision))
    create_markdown_artifact(decision_markdown(decision, promotion.id), key="promotion", description="The decision")
    record = promotion_record(places, contest, scored, promotion, decision)
    if decision["promoted"]:
        reason = settings.promotion_reason or reason_of(decision)
        successor = ChampionTerm(challenger.id, datetime.now(UTC).isoformat(), reason, promotion.id)
        return record | {"pointer": crown_model(places, challenger, successor, contest.reign)}
    if settings.model_id is None and not verdict.is_new:
        logger.info(
            "models/{} was refused before ({}), and nothing has changed: nothing to do", challenger.id, promotion.name
        )
        return record | {"outcome": "unchanged"}
    return end_refused(decision["sentence"], record)


def go_back(settings: Settings) -> dict[str, Any]:
    """Make the champion before this one, or a model that is named, the champion, if it is whole."""
    places = settings.part(PlaceOptions)
    reign = read_reign(places.open_store())
    model = find_predecessor(places, settings.part(ModelChoice), reign)
    _rename_run(f"roll back to {model.id}")
    ids = {"champion": model.id, "previous": reign.champion_id}
    if model.id == reign.champion_id:
        logger.info("models/{} is the champion already: nothing to do", model.id)
        return {"outcome": "unchanged", "ids": ids}
    successor = ChampionTerm(model.id, datetime.now(UTC).isoformat(), settings.promotion_reason)
    pointer = crown_model(places, model, successor, reign)
    stdout().print(history_view(places.store_uri, [successor, *reign.history]))
    return {"outcome": "rolled back", "ids": ids, "pointer": pointer}


def tell_history(settings: Settings) -> dict[str, Any]:
    """Print who was the champion when and why."""
    store = settings.part(PlaceOptions).open_store()
    reign = read_reign(store)
    stdout().print(history_view(store.uri, reign.history))
    history = [asdict(entry) for entry in reign.history]
    return {"store": store.uri, "champion": reign.champion_id, "history": history}


def _rename_run(name: str) -> None:
    with get_client(sync_client=True) as client:
        client.update_flow_run(flow_run.id, name=name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the flow from the command line; the history needs no flow."""
    return run(
        lambda settings: tell_history(settings) if settings.show_history else run_flow(promote, settings),
        PARTS,
        description=__doc__ or "",
        settings_type=Settings,
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
