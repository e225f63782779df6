"""Explore reviews and publish what was found, with a report and advice; look an item and a user up."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loguru import logger
from prefect import task
from prefect.artifacts import create_markdown_artifact
from pydantic import TypeAdapter

from models.registry import yardsticks
from reports.advice import Advice, advice_markdown, advise
from reports.exploration import TEMPLATES, ExplorationPage, render_exploration
from reports.look_up import look_up_markdown
from reports.report_input import Source
from reviews.catalogue import is_sample_user
from reviews.cores import take_core
from reviews.explore import explore
from reviews.indexed import index_reviews
from reviews.looking_up import look_up_item, look_up_user
from reviews.options import LookUpOptions
from schema.exploration import Exploration
from schema.look_up import LookUp
from schema.outlook import Outlook
from spark.options import CoreOptions
from storage import layout
from storage.manifest import Manifest
from tasks.execution import COMPUTE_RETRIES, progress
from tasks.ingest import summarise_file
from tasks.options import PlaceOptions
from tasks.outlook import foresee, to_interactions
from tasks.store import local_file, publish_once, write_record


@task(name="explore", task_run_name="explore {reviews.name}", **COMPUTE_RETRIES)
def explore_reviews(places: PlaceOptions, reviews: Manifest, options: CoreOptions) -> Manifest:
    """Publish what reviews are like, and what a training by default would do with them, as ``exploration.json``."""
    k = options.min_interactions

    def build(folder: Path) -> dict[str, Any]:
        with progress(f"Exploring {reviews.name}", key="explore", unit=" steps") as advance:
            indexed = index_reviews(local_file(places, reviews, layout.REVIEWS))
            advance(1, 3)
            found = explore(indexed)
            advance(2, 3)
            outlook = foresee(to_interactions(take_core(indexed, k)), k)
            advance(3, 3)
        write_record(folder / layout.EXPLORATION, {"exploration": asdict(found), "outlook": asdict(outlook)})
        summary = found.summary
        counts = {name: getattr(summary, name) for name in ("n_rows", "n_users", "n_items", "n_interactions")}
        is_sample = is_sample_user(indexed.user_ids[0].as_py())
        return {**counts, "is_sample_data": is_sample, "split": outlook.method}

    return publish_once(
        places,
        layout.EXPLORATIONS,
        inputs={"reviews": reviews.id},
        parameters={"min_interactions": k},
        build=build,
        uses=[type(one.kind) for one in yardsticks()],
    )


def read_exploration(places: PlaceOptions, exploration: Manifest) -> tuple[Exploration, Outlook]:
    """Return what an exploration found, and what a training would do."""
    record = json.loads(local_file(places, exploration, layout.EXPLORATION).read_bytes())
    found, outlook = record["exploration"], record["outlook"]
    return TypeAdapter(Exploration).validate_python(found), TypeAdapter(Outlook).validate_python(outlook)


@task(name="publish report", task_run_name="publish report of {exploration.name}", **COMPUTE_RETRIES)
def publish_exploration_report(
    places: PlaceOptions, raw: Manifest, reviews: Manifest, exploration: Manifest
) -> Manifest:
    """Publish ``report.html`` of an exploration, and show its advice in the log and on Prefect's pages."""
    file = raw.files[0]

    def build(folder: Path) -> dict[str, Any]:
        found, outlook = read_exploration(places, exploration)
        advice = advise(found, outlook)
        page = ExplorationPage(
            Source(file.path, file.sha256, file.size_bytes),
            found,
            advice,
            {"Reviews": reviews.id, "Exploration": exploration.id},
            outlook,
            summarise_file(places, reviews),
            is_sample_data=bool(exploration.counts["is_sample_data"]),
        )
        (folder / layout.REPORT).write_text(render_exploration(page), encoding="utf-8")
        return {"title": page.title}

    report = publish_once(
        places,
        layout.REPORTS,
        inputs={"exploration": exploration.id},
        parameters={},
        build=build,
        uses=[render_exploration],
        files=TEMPLATES,
    )
    _show(advise(*read_exploration(places, exploration)), file.path)
    return report


def _show(advice: Sequence[Advice], name: str) -> None:
    for line in advice:
        logger.bind(in_short=True).log("WARNING" if line.is_warning else "INFO", "{}: {}", line.topic, line.sentence)
    create_markdown_artifact(advice_markdown(advice), key="advice", description=f"Advice for a training on {name}")


@task(name="look up", **COMPUTE_RETRIES)
def look_up(places: PlaceOptions, reviews: Manifest, options: LookUpOptions) -> list[LookUp]:
    """Return the item and the user that are asked for, and show them on Prefect's pages.

    Raises:
        InvalidInput: If the reviews have no such item or user.
    """
    indexed = index_reviews(local_file(places, reviews, layout.REVIEWS))
    found = []
    if options.item_id is not None:
        found.append(look_up_item(indexed, options.item_id))
    if options.user_id is not None:
        found.append(look_up_user(indexed, options.user_id))
    for one in found:
        kind = one.side.removesuffix("s")
        create_markdown_artifact(
            look_up_markdown(one), key=f"look-up-{kind}", description=f"The {kind} that was asked for"
        )
    return found
