"""Explore: look at reviews before training on them: a report with advice, or an item or a user looked up."""

import sys
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from loguru import logger

from flows.cli import run_stage, stage
from flows.settings import DEFAULT, Environment, input_name, read
from reviews.options import DownloadOptions, IngestOptions, LookUpOptions
from spark.options import CoreOptions
from tasks.options import PlaceOptions, ReviewsInput, TrackingOptions

if TYPE_CHECKING:
    from storage.manifest import Manifest

CORE = CoreOptions()


def name_run(reviews: ReviewsInput, look_up: LookUpOptions, **_: object) -> str:
    """Return the name of a run: what is explored or looked up."""
    asked = " and ".join(f"{kind} {one}" for kind, one in look_up.asked.items())
    return f"look up {asked} in {input_name(reviews)}" if asked else f"explore {input_name(reviews)}"


@stage(name_run, is_tracked=True)
def explore(
    *,
    reviews: ReviewsInput = DEFAULT.reviews,
    look_up: LookUpOptions = DEFAULT.look_up,
    core: CoreOptions = CORE,
    ingest: IngestOptions = DEFAULT.ingest,
) -> dict[str, Any]:
    """Ingest the reviews, and publish what they are like with advice for a training; or look an item or user up."""
    from flows.pipeline import ingest_reviews, place_of, record_of
    from storage import layout
    from tasks.addresses import mlflow_run_page
    from tasks.explore import explore_reviews, publish_exploration_report
    from tasks.steps import step
    from tasks.tracked_exploration import track_exploration
    from tasks.tracking import check_tracking

    environment = read(Environment)
    places, tracking = environment.places, environment.tracking
    if not look_up.asked:
        check_tracking(tracking)
    raw, checked = ingest_reviews(environment, reviews, ingest)
    made = {"raw": raw, "reviews": checked}
    if look_up.asked:
        return record_of(made) | show_looked_up(places, checked, look_up)
    with step("exploration"):
        found = explore_reviews(places, checked, core)
    with step("report"):
        report = publish_exploration_report(places, raw, checked, found)
    made |= {"exploration": found, "report": report}
    with step("tracking"):
        run = track_exploration(tracking, places, made, environment.run.environment)
    uri = place_of(places, report, layout.REPORT)
    logger.info("Report: {}", uri)
    record = record_of(made) | {"uris": {"report": uri}}
    record["ids"]["mlflow_run"] = run.id
    pages = {"The report": layout.REPORT, "The run in MLflow": ""}
    uri = tracking.mlflow_tracking_uri
    return record | {"pages": {name: mlflow_run_page(uri, run.experiment, run.id, one) for name, one in pages.items()}}


def show_looked_up(places: PlaceOptions, reviews: "Manifest", options: LookUpOptions) -> dict[str, Any]:
    """Print the item and the user that are asked for, and return them as JSON values."""
    from reports.look_up import print_look_up
    from reports.tables import stdout
    from tasks.explore import look_up

    found = look_up(places, reviews, options)
    for one in found:
        print_look_up(one, stdout())
    return {"found": [asdict(one) for one in found]}


main = partial(run_stage, explore, uses=(DownloadOptions, TrackingOptions))


if __name__ == "__main__":
    sys.exit(main())
