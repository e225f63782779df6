"""A user or an item that was looked up, for a terminal and as Markdown."""

from collections.abc import Iterator

from rich.console import Console

from reports.display import EN_DASH, format_count
from reports.exploration_words import say_day
from reports.tables import TextTable, escape_markdown, text
from schema.distributions import Side
from schema.look_up import LookUp

_OTHER: dict[Side, Side] = {"users": "items", "items": "users"}
MOST_EVENTS, MOST_NEIGHBOURS = 20, 10


def say_look_up(found: LookUp) -> str:
    """Return how much a user, or an item, has, and when."""
    span = f", from {say_day(found.first)} to {say_day(found.last)}" if found.first is not None else ""
    rating = f"; the mean rating is {found.mean_rating:.2f}" if found.mean_rating is not None else ""
    n = f"{format_count(found.n_rows)} rows of {format_count(found.n_interactions)} {_OTHER[found.side]}"
    return f"{_title(found)}: {n}{span}{rating}. Place {format_count(found.place)} of all {found.side} by their number."


def tabulate_look_up(found: LookUp) -> Iterator[tuple[str, TextTable]]:
    """Yield titles and tables: the newest rows, and the neighbours by count and by cosine."""
    other = _OTHER[found.side]
    events = [
        [one.id, EN_DASH if one.rating is None else f"{one.rating:g}", say_day(one.timestamp)]
        for one in found.history[:MOST_EVENTS]
    ]
    yield f"The newest of its {format_count(found.n_rows)} rows", TextTable([other, "rating", "day"], events)
    for title, neighbours in (
        (f"{found.side.capitalize()} that share most {other} with it", found.by_count),
        (f"{found.side.capitalize()} that are most like it, by cosine", found.by_cosine),
    ):
        rows = [[one.id, format_count(one.n_common), f"{one.cosine:.3f}"] for one in neighbours[:MOST_NEIGHBOURS]]
        yield title, TextTable([found.side, f"{other} in common", "cosine"], rows)


def print_look_up(found: LookUp, console: Console) -> None:
    """Print what was found."""
    console.print(text(say_look_up(found), limit=400))
    for title, table in tabulate_look_up(found):
        console.print(table.to_rich(title))


def look_up_markdown(found: LookUp) -> str:
    """Return what was found as Markdown."""
    parts = [f"# {escape_markdown(_title(found))}", escape_markdown(say_look_up(found), 400)]
    for title, table in tabulate_look_up(found):
        parts += [f"## {title}", table.to_markdown()]
    return "\n\n".join(parts)


def _title(found: LookUp) -> str:
    return f"{found.side.removesuffix('s').capitalize()} {found.id}"
