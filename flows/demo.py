"""Demo: write sample data, train on them, and make the model the champion if there is none yet.

Its search draws 3 candidates, fewer than that of a training, where neither BUDGET_MINUTES nor SEARCH_TRIES is set.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from loguru import logger

from flows.cli import Command, run
from flows.run_options import RunOptions
from flows.sample import OutputOptions, write
from flows.settings import DaskOptions, Environment, NoticeOptions, Settings, read
from reviews.options import SampleOptions
from spark.options import SparkOptions
from storage.champion import champion_id
from tasks.options import PlaceOptions, TrackingOptions

if TYPE_CHECKING:
    from prefect import Flow


SEARCH_TRIES = 3


def demonstrate(output: OutputOptions, sample: SampleOptions) -> dict[str, Any]:
    """Run the flows of a training and of a promotion on one Prefect server, and return the records of both."""
    environment = read(Environment)
    environment.places.try_writing()
    environment.tracking.try_writing()
    from flows.promote import promote
    from flows.runtime import open_run
    from flows.train import train

    with ThreadPoolExecutor(1) as beside:
        writing = beside.submit(write, output, sample)
        with open_run(["mlflow"]):
            made = writing.result()
            record = _run(train, input_reviews=made["reviews"], input_products=made["products"], **_budget())
            if champion_id(environment.places.open_store()) is None:
                record["promotion"] = _run(promote, model_id=record["ids"]["model"])
            return record


def _budget() -> dict[str, str]:
    """Return the settings of a short search, or none where the environment says how long it is."""
    asked = read(Settings).search
    if asked.budget_minutes is not None or asked.search_tries is not None:
        return {}
    logger.info("The search draws {} candidates; a training draws more, see --budget-minutes", SEARCH_TRIES)
    return {"search_tries": str(SEARCH_TRIES)}


def _run(flow: "Flow[..., Any]", **given: str) -> dict[str, Any]:
    """Run a flow with the settings of the environment, and some that are given by their flat names."""
    settings = read(Settings, given)
    return dict(flow(**{name: getattr(settings, name) for name in flow.parameters.properties}))


main = partial(
    run,
    Command(
        demonstrate,
        __doc__ or "",
        (PlaceOptions, TrackingOptions, SparkOptions, DaskOptions, NoticeOptions, RunOptions),
    ),
)


if __name__ == "__main__":
    sys.exit(main())
