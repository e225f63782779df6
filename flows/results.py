"""The record that a flow returns and ``--json`` writes: ids, counts and metrics, JSON values only."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from loguru import logger

from schema.metric import MetricRow
from storage import layout
from storage.artifacts import entry
from storage.manifest import Manifest
from storage.protocol import Store
from tasks.model import Lineage
from tasks.options import PlaceOptions
from tasks.promotion import Challenge, Decision
from tasks.rank import candidate_of
from tasks.score import Scored, read_rows
from tasks.tracking import hide_user


def dataset_record(raw: Manifest, reviews: Manifest, dataset: Manifest) -> dict[str, Any]:
    """Return the ids and counts from the raw file to the dataset."""
    made = {"raw": raw, "reviews": reviews, "dataset": dataset}
    return {
        "ids": {role: artifact.id for role, artifact in made.items()},
        "counts": {role: dict(artifact.counts) for role, artifact in made.items()},
    }


def training_record(
    places: PlaceOptions,
    lineage: Lineage,
    validated: Sequence[Scored],
    tested: Sequence[Scored],
    model: Manifest,
    report: Manifest,
    recommendations: Manifest,
    mlflow_run: str,
) -> dict[str, Any]:
    """Return the ids, counts, chosen model, metrics and places of a training."""
    record = dataset_record(lineage.raw, lineage.reviews, lineage.dataset)
    later = {"split": lineage.split, "model": model, "report": report, "recommendations": recommendations}
    record["ids"] |= {role: artifact.id for role, artifact in later.items()} | {"mlflow_run": mlflow_run}
    record["counts"] |= {role: dict(artifact.counts) for role, artifact in later.items()}
    store = places.open_store()
    return record | {
        "chosen": candidate_of(model).model_dump(mode="json"),
        "metrics": [asdict(row) for one in (*validated, *tested) for row in read_rows(places, one.scores)],
        "uris": {
            "report": _uri(store, report, layout.REPORT),
            "model": store.locate(layout.artifact_prefix(model.kind, model.id)),
            "recommendations": store.locate(layout.artifact_prefix(recommendations.kind, recommendations.id)),
        },
    }


def evaluation_record(
    places: PlaceOptions, lineage: Lineage, scored: Sequence[Scored], evaluation: Manifest, report: Manifest
) -> dict[str, Any]:
    """Return the ids, counts, metrics and report of an evaluation."""
    record = dataset_record(lineage.raw, lineage.reviews, lineage.dataset)
    record["ids"] |= {"split": lineage.split.id, "evaluation": evaluation.id, "report": report.id}
    record["counts"] |= {"split": dict(lineage.split.counts)}
    page = _uri(places.open_store(), report, layout.REPORT)
    logger.info("Report: {}", page)
    return record | {
        "evaluated": evaluation.counts["label"],
        "metrics": [asdict(row) for one in scored for row in read_rows(places, one.scores)],
        "held_out_only": [asdict(row) for one in scored for row in _held_out_only(places, one)],
        "uris": {"report": page},
    }


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
        "metrics": [asdict(row) for one in scored for row in read_rows(places, one.scores)],
        "uris": {
            "promotion": places.open_store().locate(
                layout.artifact_prefix(decision.artifact.kind, decision.artifact.id)
            )
        },
    }


def _held_out_only(places: PlaceOptions, one: Scored) -> list[MetricRow]:
    return read_rows(places, one.scores, "held_out_only")


def _uri(store: Store, artifact: Manifest, name: str) -> str:
    prefix = layout.artifact_prefix(artifact.kind, artifact.id)
    return store.locate(f"{prefix}/{entry(artifact, name).path}")


def tell_where(uris: Mapping[str, str], tracking_uri: str) -> None:
    """Log where the outcome of a training is."""
    for name, uri in uris.items():
        logger.info("{}: {}", name.capitalize(), uri)
    logger.info("MLflow: {}", hide_user(tracking_uri))
