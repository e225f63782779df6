"""Look after the artifact store: list, show, verify, copy, and remove what no reader can reach."""

import re
import shlex
import sys
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from flows.cli import Command, StageFailed, run_one_of
from flows.store_view import Row, copies, details, garbage_view, listing, verdict
from reports.tables import number, progress_bar, stdout
from schema.errors import CorruptObject
from schema.options import FrozenModel
from storage import layout
from storage.artifacts import entry
from storage.champion import champion_id
from storage.copying import artifacts_to_copy, copy_artifacts
from storage.garbage import DEFAULT_AGE, LEAST_AGE, collect_garbage
from storage.inventory import Artifact, find_artifact, find_report, lineage, list_artifacts
from storage.manifest import Manifest
from storage.opening import open_store
from storage.protocol import Store
from storage.verify import verify_artifact, verify_champion
from tasks.options import PlaceOptions, StoreOptions

_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}
_MOST_AGE = timedelta(days=36_500)


def read_age(value: object) -> object:
    """Return '7d', '12h' or '90m' as a time span; what is no text unchanged.

    Example:
        >>> read_age("36h")
        datetime.timedelta(days=1, seconds=43200)
    """
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"([0-9]{1,8})([dhm])", value.strip())
    if found is None:
        raise ValueError("expected a number and d, h or m, such as 7d")
    age = int(found[1]) * _UNITS[found[2]]
    if not LEAST_AGE <= age <= _MOST_AGE:
        raise ValueError(f"expected {write_age(LEAST_AGE)} (a run may be at work) to {write_age(_MOST_AGE)}")
    return age


def write_age(age: timedelta) -> str:
    """Return a time span of whole minutes as `read_age` takes it.

    Example:
        >>> write_age(timedelta(days=7)), write_age(timedelta(hours=36))
        ('7d', '36h')
    """
    unit = next(name for name, span in _UNITS.items() if age % span == timedelta(0))
    return f"{age // _UNITS[unit]}{unit}"


def _known_kind(kind: str) -> str:
    if kind and kind not in layout.KINDS:
        raise ValueError(f"expected one of {', '.join(layout.KINDS)}")
    return kind


Age = Annotated[timedelta, BeforeValidator(read_age)]


class KindChoice(FrozenModel):
    """Which kind of artifact."""

    kind: Annotated[str, AfterValidator(_known_kind)] = Field(
        "",
        description=f"One of {', '.join(layout.KINDS)}; without it, all.",
        json_schema_extra={"nargs": "?", "flag": "KIND"},
    )


class OneChoice(FrozenModel):
    """Which artifact."""

    id: str = Field(
        description="Id of an artifact or its first digits, with or without the kind before it, as in models/1f3a.",
        json_schema_extra={"nargs": None, "flag": "ID"},
    )


class VerifyChoice(FrozenModel):
    """Which artifacts to verify."""

    ids: tuple[str, ...] = Field(
        (),
        description="Ids of artifacts or their first digits, as in models/1f3a; without any, the whole store.",
        json_schema_extra={"nargs": "*", "flag": "ID", "metavar": "ID"},
    )


class GarbageChoice(FrozenModel):
    """Which garbage to find, and whether to delete it."""

    older_than: Age = Field(
        DEFAULT_AGE,
        description="Least age of garbage, such as 12h or 90m; longer than any run takes, 1h or more; by default 7d.",
        json_schema_extra={"metavar": "AGE"},
    )
    delete: bool = Field(
        False,
        description="Delete what is found; without it, nothing is changed.",
    )


class CopyChoice(FrozenModel):
    """Where to copy to, and how much."""

    to: str = Field(
        description="Root of the store that gets the copy, as for --store.",
        json_schema_extra={"metavar": "URI"},
    )
    alone: bool = Field(
        False,
        description="Leave out what the artifact was made from.",
    )


def list_store(choice: KindChoice, place: StoreOptions) -> dict[str, Any]:
    """Print what the store has, of each kind the oldest first."""
    store = place.open_store()
    champion, trouble = _champion(store)
    rows = [_row(store, artifact, champion) for artifact in list_artifacts(store, choice.kind or None)]
    rows.sort(key=lambda row: (layout.KINDS.index(row.kind), row.written_at or ""))
    stdout().print(listing(store.uri, rows, trouble))
    return {"store": store.uri, "champion": champion, "artifacts": [asdict(row) for row in rows]}


def show(choice: OneChoice, place: StoreOptions) -> dict[str, Any]:
    """Print what one artifact is, and what it was made from.

    Raises:
        CorruptObject: If its manifest cannot be read.
    """
    store = place.open_store()
    artifact = find_artifact(store, choice.id)
    manifest = artifact.require_manifest()
    row, ancestors = _row(store, artifact, _champion(store)[0]), lineage(store, manifest)
    prefix = layout.artifact_prefix(manifest.kind, manifest.id)
    report = find_report(store, manifest)
    page = store.locate(f"{report.name}/{entry(report, layout.REPORT).path}") if report else None
    stdout().print(details(store.locate(prefix), row, manifest, ancestors, page))
    steps = [{name: getattr(step, name) for name in ("depth", "role", "kind", "id", "state")} for step in ancestors]
    return {"store": store.uri, **asdict(row), "manifest": asdict(manifest), "lineage": steps, "report": page}


def verify(choice: VerifyChoice, place: StoreOptions) -> dict[str, Any]:
    """Read every byte of some artifacts, or of all and the pointer, and print what is wrong.

    Raises:
        StageFailed: If anything is.
    """
    store = place.open_store()
    chosen = [find_artifact(store, name) for name in choice.ids] or list(list_artifacts(store))
    manifests = [artifact.manifest for artifact in chosen if isinstance(artifact.manifest, Manifest)]
    counts = {
        "artifacts": len(chosen),
        "files": sum(len(manifest.files) for manifest in manifests),
        "size_bytes": sum(manifest.size_bytes for manifest in manifests),
    }
    with progress_bar("Verifying", counts["size_bytes"]) as advance:
        problems = [problem for artifact in chosen for problem in verify_artifact(store, artifact, advance)]
    problems += [] if choice.ids else verify_champion(store)
    stdout().print(verdict(store.uri, counts, problems))
    record = {"store": store.uri, "counts": counts, "problems": [asdict(problem) for problem in problems]}
    if problems:
        raise StageFailed(f"Not all is as the manifests say: {number(len(problems), 'problem')}", record)
    return record


def collect(choice: GarbageChoice, place: StoreOptions) -> dict[str, Any]:
    """Print what no reader can reach, and delete it if asked."""
    store = place.open_store()
    garbage = collect_garbage(store, choice.older_than, remove=choice.delete)
    to_delete = ["gc", "--older-than", write_age(choice.older_than), "--delete", "--store", place.store_uri]
    command = shlex.join(["python", "flows/store.py", *to_delete])
    stdout().print(garbage_view(store.uri, garbage, command, is_deleted=choice.delete))
    orphans = [asdict(one) | {"written_at": one.written_at.isoformat()} for one in garbage.orphans]
    found = asdict(garbage) | {"before": garbage.before.isoformat(), "orphans": orphans}
    return found | {"store": store.uri, "is_deleted": choice.delete, "size_bytes": garbage.size_bytes}


def copy(choice: OneChoice, destination: CopyChoice, places: PlaceOptions) -> dict[str, Any]:
    """Copy an artifact to another store, by default with its report and all it was made from, and print the copies."""
    from tasks.store import scratch_folder

    source, target = places.open_store(), open_store(destination.to, places.s3)
    places.try_writing(target)
    artifact = find_artifact(source, choice.id)
    report = None if destination.alone else find_report(source, artifact.require_manifest())
    chosen = find_artifact(source, report.name) if report else artifact
    manifests = artifacts_to_copy(source, chosen, alone=destination.alone)
    n_bytes = sum(manifest.size_bytes for manifest in manifests)
    with scratch_folder(places, "copy") as scratch, progress_bar("Copying", n_bytes) as advance:
        copied = list(copy_artifacts(source, target, manifests, scratch, advance))
    stdout().print(copies(target.uri, copied))
    made = [{"kind": one.manifest.kind, "id": one.manifest.id, "is_new": one.is_new} for one in copied]
    return {"from": source.uri, "to": target.uri, "artifacts": made}


def _champion(store: Store) -> tuple[str | None, str | None]:
    """Return the id of the champion, and why it cannot be told."""
    try:
        return champion_id(store), None
    except CorruptObject as error:
        return None, str(error)


def _row(store: Store, artifact: Artifact, champion: str | None) -> Row:
    written_at = store.written_at(layout.manifest_key(artifact.kind, artifact.id))
    manifest = artifact.manifest if isinstance(artifact.manifest, Manifest) else None
    return Row(
        kind=artifact.kind,
        id=artifact.id,
        n_files=len(manifest.files) if manifest else None,
        size_bytes=manifest.size_bytes if manifest else None,
        written_at=written_at.isoformat(timespec="seconds") if written_at else None,
        is_champion=(artifact.kind, artifact.id) == (layout.MODELS, champion),
        problem=None if manifest else str(artifact.manifest),
    )


COMMANDS = {
    "ls": Command(list_store, "List what the store has."),
    "show": Command(show, "Show what an artifact is, and is made from."),
    "verify": Command(verify, "Compare every byte with the manifests."),
    "gc": Command(collect, "Find what no reader can reach; delete it."),
    "cp": Command(copy, "Copy an artifact to another store."),
}


main = partial(run_one_of, COMMANDS, __doc__ or "")


if __name__ == "__main__":
    sys.exit(main())
