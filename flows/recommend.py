"""Recommend: the top N of every user from a published model."""

import sys
from collections.abc import Sequence
from typing import Any

from flows.cli import run_stage, stage
from flows.settings import DEFAULT, Environment, read
from tasks.options import ModelChoice, RecommendOptions


@stage(lambda model, **_: f"recommend from {model.model_id or 'the champion'}")
def recommend(*, model: ModelChoice = DEFAULT.model, recommend: RecommendOptions = DEFAULT.recommend) -> dict[str, Any]:
    """Score every user with a model and publish the lists."""
    from flows.pipeline import recommend_to_all
    from storage import layout
    from tasks.model import find_model

    places = read(Environment).places
    chosen, dataset = find_model(places, model)
    recommendations = recommend_to_all(places, chosen, dataset, recommend)
    prefix = layout.artifact_prefix(recommendations.kind, recommendations.id)
    return {
        "ids": {"model": chosen.id, "dataset": dataset.id, "recommendations": recommendations.id},
        "counts": {"recommendations": dict(recommendations.counts)},
        "uris": {"recommendations": places.open_store().locate(prefix)},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the flow from the command line."""
    return run_stage(recommend, arguments)


if __name__ == "__main__":
    sys.exit(main())
