"""What ``flows/promote.py`` shows: a decision and the history, on the terminal and in the Prefect UI."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType

from evaluation.comparison import format_figure
from flows.terminal import MOST_ROWS, more, short, table_of, text
from reports.display import clean_text, format_share, metric_label
from schema.metric import Metric
from storage.champion import ChampionTerm

MOST_CHARACTERS = 1000

Decision = Mapping[str, Any]


def decision_view(decision: Decision) -> RenderableType:
    """Return tables of the models and of the conditions, and what came of them."""
    models = table_of("", "model", "id", metric_label(Metric.parse(decision["metric"])))
    for role, one in _models(decision):
        models.add_row(
            text(role), text(one["label"]), text(short(one["model_id"]), "bold"), text(_figure(one["value"]))
        )
    conditions = table_of("condition", "met", "why")
    for condition in decision["conditions"]:
        met = text("yes", "green") if condition["met"] else text("no", "red")
        conditions.add_row(text(condition["name"]), met, text(condition["sentence"], limit=MOST_CHARACTERS))
    colour = "green" if decision["promoted"] else "red"
    notes = [
        text(one["sentence"], "yellow" if one["is_warning"] else "", MOST_CHARACTERS) for one in decision["findings"]
    ]
    return Group(models, *_lines(decision), conditions, *notes, text(_outcome(decision), colour))


def decision_markdown(decision: Decision, promotion_id: str) -> str:
    """Return the same as a page of Markdown."""
    models = [[role, one["label"], one["model_id"], _figure(one["value"])] for role, one in _models(decision)]
    conditions = [[one["name"], "yes" if one["met"] else "**no**", one["sentence"]] for one in decision["conditions"]]
    parts = [
        f"## {_outcome(decision)}",
        _markdown_table(["", "model", "id", metric_label(Metric.parse(decision["metric"]))], models),
        *(line.plain for line in _lines(decision)),
        _markdown_table(["condition", "met", "why"], conditions),
        *(f"> {clean_text(one['sentence'], MOST_CHARACTERS)}" for one in decision["findings"]),
        f"All of it: `promotions/{promotion_id}`",
    ]
    return "\n\n".join(parts)


def reason_of(decision: Decision) -> str:
    """Return what the history says of a promotion: the comparison that it won."""
    first = "" if decision["champion"] else "The first champion. "
    return f"{first}{decision['conditions'][0]['sentence']}"


def history_view(uri: str, history: Sequence[ChampionTerm]) -> RenderableType:
    """Return a table of the champions, the one that serves first."""
    if not history:
        return text(f"No champion in {uri} yet", limit=400)
    table = table_of("champion since (UTC)", "model", "promotion", "reason")
    for entry in history[:MOST_ROWS]:
        moment = (entry.promoted_at or "")[:19].replace("T", " ")
        promotion = text(short(entry.promotion)) if entry.promotion else text("none", "dim")
        model = text(short(entry.model_id), "bold")
        table.add_row(text(moment), model, promotion, text(entry.reason or "", limit=MOST_CHARACTERS))
    return Group(table, *more(len(history)))


def _models(decision: Decision) -> list[tuple[str, Mapping[str, Any]]]:
    return [(role, decision[role]) for role in ("challenger", "champion") if decision[role]]


def _lines(decision: Decision) -> list[Any]:
    found, margin = decision["difference"], decision["margin"]
    if found is None:
        return [text("There is no champion yet, so that there is nothing to compare with.")]
    interval = f"95 % interval {format_figure(found['low'])} to {format_figure(found['high'])}"
    difference = f"Challenger - champion: {format_figure(found['value'])}, {interval}, {found['n_users']:,} users"
    allowed = f"margin {format_figure(-margin['value'])} ({format_share(margin['share'])} of the champion's)"
    kept = f"Above what must be kept: {format_figure(margin['above'])}, "
    kept += f"95 % interval {format_figure(margin['low'])} to {format_figure(margin['high'])}"
    return [text(f"{difference}; {allowed}. {kept}", limit=MOST_CHARACTERS)]


def _outcome(decision: Decision) -> str:
    verb = "passes the gate" if decision["promoted"] else "is refused"
    return f"models/{decision['challenger']['model_id']} {verb}"


def _figure(value: float | None) -> str:
    return "" if value is None else format_figure(value)


def _markdown_table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: str) -> str:
    return clean_text(value, MOST_CHARACTERS).replace("|", "\\|")
