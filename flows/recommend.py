"""The top N of every user from a published model."""

import sys
from collections.abc import Sequence
from typing import Any

from prefect import flow

from flows.command_line import run
from flows.notices import NOTICES
from flows.options import DaskOptions, NoticeOptions, RunOptions
from flows.running import run_flow
from flows.settings import Settings
from flows.stages import recommend_to_all
from storage import layout
from tasks.options import ModelChoice, PlaceOptions, RecommendOptions
from tasks.published import find_model

PARTS = (ModelChoice, RecommendOptions, PlaceOptions, DaskOptions, NoticeOptions, RunOptions)


@flow(name="recommend", flow_run_name="recommend from {settings.model_name}", **NOTICES)
def recommend(settings: Settings) -> dict[str, Any]:
    """Score every user with a model and publish the lists."""
    places = settings.part(PlaceOptions)
    model, dataset = find_model(places, settings.part(ModelChoice))
    recommendations = recommend_to_all(settings, model, dataset)
    prefix = layout.artifact_prefix(recommendations.kind, recommendations.id)
    return {
        "ids": {"model": model.id, "dataset": dataset.id, "recommendations": recommendations.id},
        "counts": {"recommendations": dict(recommendations.counts)},
        "uris": {"recommendations": places.open_store().locate(prefix)},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the flow from the command line."""
    return run(
        lambda settings: run_flow(recommend, settings),
        PARTS,
        description=__doc__ or "",
        settings_type=Settings,
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
