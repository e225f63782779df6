"""Look after the artifact store: list, show, verify, copy, and take away what no reader can reach."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from flows.command_line import Command, StageFailed, run_one_of
from flows.store_settings import (
    CopyChoice,
    CopySettings,
    GarbageChoice,
    GarbageSettings,
    KindChoice,
    ListSettings,
    OneChoice,
    ShowSettings,
    VerifyChoice,
    VerifySettings,
    command_to_delete,
)
from flows.store_view import (
    Row,
    copies,
    details,
    garbage_view,
    listing,
    verdict,
)
from flows.terminal import number, progress_bar, stdout
from schema.errors import CorruptObject
from storage import layout
from storage.artifacts import entry
from storage.champion import champion_id
from storage.copying import artifacts_to_copy, copy_artifacts
from storage.garbage import collect_garbage
from storage.inventory import Artifact, find_artifact, find_report, lineage, list_artifacts
from storage.manifest import Manifest
from storage.opening import open_store
from storage.protocol import Store
from storage.verify import verify_artifact, verify_champion
from tasks.options import PlaceOptions, StoreOptions
from tasks.store import scratch_folder


def list_store(settings: ListSettings) -> dict[str, Any]:
    """Print what the store has, of each kind the oldest first."""
    store = settings.open_store()
    champion, trouble = _champion(store)
    rows = [_row(store, artifact, champion) for artifact in list_artifacts(store, settings.kind or None)]
    rows.sort(key=lambda row: (layout.KINDS.index(row.kind), row.written_at or ""))
    stdout().print(listing(store.uri, rows, trouble))
    return {"store": store.uri, "champion": champion, "artifacts": [asdict(row) for row in rows]}


def show(settings: ShowSettings) -> dict[str, Any]:
    """Print what one artifact is, and what it was made from.

    Raises:
        CorruptObject: If its manifest cannot be read.
    """
    store = settings.open_store()
    artifact = find_artifact(store, settings.id)
    manifest = artifact.require_manifest()
    row, ancestors = _row(store, artifact, _champion(store)[0]), lineage(store, manifest)
    report = find_report(store, manifest)
    page = store.locate(f"{report.name}/{entry(report, layout.REPORT).path}") if report else None
    prefix = layout.artifact_prefix(manifest.kind, manifest.id)
    stdout().print(details(store.locate(prefix), row, manifest, ancestors, page))
    steps = [
        {"depth": step.depth, "role": step.role, "kind": step.kind, "id": step.id, "state": step.state}
        for step in ancestors
    ]
    return {"store": store.uri, **asdict(row), "manifest": asdict(manifest), "lineage": steps, "report": page}


def verify(settings: VerifySettings) -> dict[str, Any]:
    """Read every byte of some artifacts, or of all and the pointer, and print what is wrong.

    Raises:
        StageFailed: If anything is.
    """
    store = settings.open_store()
    chosen = [find_artifact(store, name) for name in settings.ids] or list(list_artifacts(store))
    manifests = [artifact.manifest for artifact in chosen if isinstance(artifact.manifest, Manifest)]
    counts = {
        "artifacts": len(chosen),
        "files": sum(len(manifest.files) for manifest in manifests),
        "size_bytes": sum(manifest.size_bytes for manifest in manifests),
    }
    with progress_bar("Verifying", counts["size_bytes"]) as advance:
        problems = [problem for artifact in chosen for problem in verify_artifact(store, artifact, advance)]
    problems += [] if settings.ids else verify_champion(store)
    stdout().print(verdict(store.uri, counts, problems))
    record = {"store": store.uri, "counts": counts, "problems": [asdict(problem) for problem in problems]}
    if problems:
        raise StageFailed(f"Not all is as the manifests say: {number(len(problems), 'problem')}", record)
    return record


def collect(settings: GarbageSettings) -> dict[str, Any]:
    """Print what no reader can reach, and delete it if asked."""
    store = settings.open_store()
    garbage = collect_garbage(store, settings.older_than, remove=settings.delete)
    command = command_to_delete(settings.older_than, settings.store_uri)
    stdout().print(garbage_view(store.uri, garbage, command, is_deleted=settings.delete))
    orphans = [
        {"key": one.key, "size_bytes": one.size_bytes, "written_at": one.written_at.isoformat()}
        for one in garbage.orphans
    ]
    return {
        "store": store.uri,
        "is_deleted": settings.delete,
        "before": garbage.before.isoformat(),
        "orphans": orphans,
        "size_bytes": garbage.size_bytes,
        "leftovers": garbage.leftovers,
        "n_young": garbage.n_young,
        "left_alone": garbage.left_alone,
    }


def copy(settings: CopySettings) -> dict[str, Any]:
    """Copy an artifact, by default with all it was made from, to another store and print what was copied."""
    source, target = settings.open_store(), open_store(settings.to, settings.s3_options)
    manifests = artifacts_to_copy(source, find_artifact(source, settings.id), alone=settings.alone)
    n_bytes = sum(manifest.size_bytes for manifest in manifests)
    with scratch_folder(settings, "copy") as scratch, progress_bar("Copying", n_bytes) as advance:
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


COMMANDS = (
    Command("ls", list_store, (KindChoice, StoreOptions), "List what the store has.", ListSettings),
    Command("show", show, (OneChoice, StoreOptions), "Show what an artifact is, and is made from.", ShowSettings),
    Command("verify", verify, (VerifyChoice, StoreOptions), "Hold every byte against the manifests.", VerifySettings),
    Command("gc", collect, (GarbageChoice, StoreOptions), "Find what no reader can reach; delete it.", GarbageSettings),
    Command("cp", copy, (OneChoice, CopyChoice, PlaceOptions), "Copy an artifact to another store.", CopySettings),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command from the command line."""
    return run_one_of(COMMANDS, description=__doc__ or "", arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
