"""Recommend: the top N of every user from a published model, packed with the model for serving."""

import sys
from functools import partial
from typing import Any

from flows.cli import run_stage, stage
from flows.settings import DEFAULT, Environment, read
from tasks.options import ModelChoice, ProductsInput, RecommendOptions, TrackingOptions


@stage(lambda model, **_: f"recommend from {model.model_id or 'the champion'}")
def recommend(
    *,
    model: ModelChoice = DEFAULT.model,
    products: ProductsInput = DEFAULT.products,
    recommend: RecommendOptions = DEFAULT.recommend,
) -> dict[str, Any]:
    """Score every user with a model, publish the lists, and publish the bundle that is served with the model."""
    from flows.pipeline import place_of, recommend_to_all, record_of
    from tasks.bundle import publish_bundle
    from tasks.ingest import keep_file
    from tasks.model import find_model
    from tasks.registration import follow_champion

    environment = read(Environment)
    places = environment.places
    chosen, dataset = find_model(places, model)
    sold = keep_file(places, products.input_products) if products.input_products else None
    made = recommend_to_all(places, chosen, dataset, recommend)
    bundle = publish_bundle(places, chosen, dataset, made, sold)
    follow_champion(environment.tracking, places)
    record = record_of({"recommendations": made, "bundle": bundle})
    record["ids"] |= {"model": chosen.id, "dataset": dataset.id}
    return record | {"uris": {"recommendations": place_of(places, made)}}


main = partial(run_stage, recommend, uses=(TrackingOptions,))


if __name__ == "__main__":
    sys.exit(main())
