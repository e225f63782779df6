"""Tables and texts that ``flows/store.py`` prints."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.filesize import decimal
from rich.text import Text
from rich.tree import Tree

from reports.tables import MOST_ROWS, heading, more, number, pairs, short, table_of, text
from storage import canonical
from storage.copying import Copied
from storage.garbage import Garbage
from storage.inventory import Ancestor
from storage.manifest import Manifest
from storage.verify import Problem


@dataclass(frozen=True)
class Row:
    """One line of a listing; JSON values.

    Attributes:
        kind: Its kind.
        id: Its whole id.
        n_files: Files that its manifest names; None if that cannot be read.
        size_bytes: Bytes of those files together; None if the manifest cannot be read.
        written_at: When its manifest was written, ISO 8601 in UTC.
        is_champion: Whether it is the model that serves.
        problem: Why its manifest cannot be read, if it cannot.
    """

    kind: str
    id: str
    n_files: int | None
    size_bytes: int | None
    written_at: str | None
    is_champion: bool
    problem: str | None

    @property
    def moment(self) -> str:
        """When its manifest was written, for people."""
        return self.written_at[:19].replace("T", " ") if self.written_at else ""


def listing(uri: str, rows: Sequence[Row], trouble: str | None) -> RenderableType:
    """Return a table of artifacts, and why the champion cannot be told, if it cannot."""
    notes = [text(f"The champion cannot be told: {trouble}", "yellow", limit=400)] if trouble else []
    if not rows:
        return Group(text(f"No artifacts in {uri}", limit=400), *notes)
    table = table_of("kind", "id", "files", "size", "written (UTC)", "")
    for row in rows:
        table.add_row(
            text(row.kind),
            text(short(row.id), "bold"),
            text("" if row.n_files is None else f"{row.n_files:,}"),
            text("" if row.size_bytes is None else decimal(row.size_bytes)),
            text(row.moment),
            text(f"broken: {row.problem}", "red", limit=200) if row.problem else text("champion" * row.is_champion),
        )
    return Group(table, *notes)


def details(
    location: str, row: Row, manifest: Manifest, ancestors: Sequence[Ancestor], report: str | None
) -> RenderableType:
    """Return the content of a manifest, where the report on it is, and a tree of what the artifact was made from."""
    about = {
        "artifact": manifest.name + (" (champion)" if row.is_champion else ""),
        "code version": manifest.code_version,
        "location": location,
        "size": f"{number(len(manifest.files), 'file')}, {decimal(manifest.size_bytes)}",
        "written": f"{row.moment} UTC",
    } | ({"report": report} if report else {})
    tables = {"Parameters": pairs(_as_json(manifest.parameters)), "Counts": pairs(_as_json(manifest.counts))}
    named = (part for name, table in tables.items() for part in (heading(name), table))
    return Group(pairs(about), *named, heading("Files"), *_files(manifest), heading("Made from"), *_tree(ancestors))


def verdict(uri: str, counts: Mapping[str, int], problems: Sequence[Problem]) -> RenderableType:
    """Return a line for each problem, and a last one that counts what was verified."""
    lines = [text(f"{one.where}: ", "bold").append_text(text(one.what, "not bold", 800)) for one in problems]
    size = decimal(counts["size_bytes"])
    looked_at = f"{number(counts['artifacts'], 'artifact')}, {number(counts['files'], 'file')}, {size}"
    if problems:
        n_places = len({one.where for one in problems})
        last = text(f"{looked_at}: {number(len(problems), 'problem')} in {number(n_places, 'place')}", "red")
    elif counts["artifacts"]:
        last = text(f"{looked_at}: all as their manifests say", "green")
    else:
        last = text(f"No artifacts in {uri}", limit=400)
    return Group(*lines, last)


def garbage_view(uri: str, garbage: Garbage, command: str, *, is_deleted: bool) -> RenderableType:
    """Return what was found, whether it is deleted, and the command to type to delete it."""
    found = f"{number(len(garbage.orphans), 'orphan')} ({decimal(garbage.size_bytes)})"
    found += f" and {number(len(garbage.leftovers), 'leftover')} of dead writers"
    if not (garbage.orphans or garbage.leftovers):
        verdict = [text(f"No garbage in {uri}", limit=400)]
    elif is_deleted:
        verdict = [text(f"Deleted: {found}", "green")]
    else:
        verdict = [text(f"Dry run, nothing was deleted. Found: {found}. To delete them, type", "yellow")]
        verdict += [text(f"  {command}", limit=4000)]
    return Group(*_garbage_tables(garbage), *_garbage_notes(garbage), *verdict)


def copies(uri: str, copied: Sequence[Copied]) -> RenderableType:
    """Return a line for each artifact that the target now has."""
    table = table_of("kind", "id", "files", "size", f"in {uri}")
    for one in copied:
        made = one.manifest
        state = text("copied", "green") if one.is_new else text("was there already")
        size = decimal(made.size_bytes)
        table.add_row(text(made.kind), text(short(made.id), "bold"), text(f"{len(made.files):,}"), text(size), state)
    return table


def _garbage_tables(garbage: Garbage) -> Iterator[RenderableType]:
    if garbage.orphans:
        table = table_of("orphan", "size", "written (UTC)")
        for one in garbage.orphans[:MOST_ROWS]:
            table.add_row(text(one.key, limit=900), text(decimal(one.size_bytes)), text(f"{one.written_at:%F %T}"))
        yield table
    yield from more(len(garbage.orphans))
    for name in garbage.leftovers[:MOST_ROWS]:
        yield text(f"Left by a dead writer: {name}", limit=900)
    yield from more(len(garbage.leftovers))


def _garbage_notes(garbage: Garbage) -> Iterator[RenderableType]:
    for what, why in garbage.left_alone.items():
        yield text(f"Left alone: {what}; {why}", "yellow", limit=600)
    if garbage.n_young:
        yield text(f"{number(garbage.n_young, 'younger object')} outside all manifests: a run may be at work there")


def _files(manifest: Manifest) -> Iterator[RenderableType]:
    table = table_of("path", "size", "SHA-256")
    for file in manifest.files[:MOST_ROWS]:
        table.add_row(text(file.path, limit=900), text(decimal(file.size_bytes)), text(short(file.sha256)))
    yield table
    yield from more(len(manifest.files))


def _tree(ancestors: Sequence[Ancestor]) -> Iterator[RenderableType]:
    branches: list[Tree] = []
    for one in ancestors[:MOST_ROWS]:
        branch = branches[one.depth - 1].add(_label(one)) if one.depth else Tree(_label(one))
        branches = [*branches[: one.depth], branch]
    yield branches[0]
    yield from more(len(ancestors))


def _label(one: Ancestor) -> Text:
    label = text(f"{one.role}: " if one.role else "", "cyan")
    label.append_text(text(f"{one.kind or '?'}/{short(one.id)}", "not cyan"))
    if one.state != "there":
        return label.append_text(text(f"  {one.state}", "red"))
    return label.append_text(text("  see above" if one.is_repeated else "", "dim"))


def _as_json(values: Mapping[str, object]) -> dict[str, str]:
    return {name: canonical.encode(value).decode() for name, value in values.items()}
