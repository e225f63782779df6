"""The decision of the gate: its record, and the one way from there to the terminal and to Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from reports.display import clean_text, format_figure, format_share, metric_label
from reports.verdicts import conditions_of, say_finding, say_verdict
from schema.metric import Metric
from schema.verdicts import Finding, NonInferiority, Verdict

MOST_CHARACTERS = 1000
MOST_ROWS = 100

Decision = Mapping[str, Any]


def decision_record(
    verdict: Verdict, models: Mapping[str, Mapping[str, Any]], findings: Sequence[Finding]
) -> dict[str, Any]:
    """Return the decision as ``decision.json`` holds it, JSON values.

    Args:
        verdict: What the gate says.
        models: Role ("challenger", and "champion" where there is one) to model_id, label and value of the metric.
        findings: What is to be known of the two beside their figures.
    """
    challenger, champion = models["challenger"], models.get("champion")
    names = f"models/{challenger['model_id']}", f"models/{champion['model_id']}" if champion else None
    return {
        "promoted": verdict.is_promoted,
        "sentence": say_verdict(verdict, *names),
        "metric": str(verdict.popularity.metric),
        "challenger": dict(challenger),
        "champion": dict(champion) if champion else None,
        "difference": _difference(verdict.champion) if verdict.champion else None,
        "margin": _margin(verdict.champion) if verdict.champion else None,
        "conditions": conditions_of(verdict),
        "findings": [
            {"name": one.name, "is_warning": one.is_warning, "sentence": say_finding(one)} for one in findings
        ],
    }


def _difference(found: NonInferiority) -> dict[str, Any]:
    it = found.comparison
    return {"value": it.difference, "low": it.low, "high": it.high, "p_value": it.p_value, "n_users": it.n_users}


def _margin(found: NonInferiority) -> dict[str, float]:
    """Return what may be lost, and by how much the challenger is above what must be kept."""
    above = found.comparison.difference + found.margin
    return {"share": found.margin_share, "value": found.margin, "above": above, "low": found.low, "high": found.high}


@dataclass(frozen=True)
class _Page:
    """What is shown of a decision; the first row of a table names its columns."""

    outcome: str
    is_promoted: bool
    models: list[list[str]]
    difference: str
    conditions: list[list[str]]
    notes: list[tuple[str, bool]]


def decision_view(decision: Decision) -> RenderableType:
    """Return the decision for the terminal: tables of the models and of the conditions, and what came of them."""
    page = _lay_out(decision)
    notes = [_text(sentence, "yellow" if is_warning else "") for sentence, is_warning in page.notes]
    outcome = _text(page.outcome, "green" if page.is_promoted else "red")
    return Group(_table(page.models), _text(page.difference), _table(page.conditions), *notes, outcome)


def decision_markdown(decision: Decision, promotion_id: str) -> str:
    """Return the decision as a page of Markdown."""
    page = _lay_out(decision)
    parts = [
        f"## {page.outcome}",
        _markdown_table(page.models),
        page.difference,
        _markdown_table([[name, "**no**" if met == "no" else met, why] for name, met, why in page.conditions]),
        *(f"> {clean_text(sentence, MOST_CHARACTERS)}" for sentence, _ in page.notes),
        f"All of it: `promotions/{promotion_id}`",
    ]
    return "\n\n".join(parts)


def reason_of(decision: Decision) -> str:
    """Return the reason of a promotion for the history: the comparison that it won."""
    first = "" if decision["champion"] else "The first champion. "
    return f"{first}{decision['conditions'][0]['sentence']}"


def history_view(uri: str, terms: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Return a table of the champions: model_id, promoted_at, promotion and reason, the one that serves first."""
    if not terms:
        return _text(f"No champion in {uri} yet")
    rows = [["champion since (UTC)", "model", "promotion", "reason"]]
    for term in terms[:MOST_ROWS]:
        moment = (term["promoted_at"] or "")[:19].replace("T", " ")
        rows.append([moment, term["model_id"], term["promotion"] or "none", term["reason"] or ""])
    left_out = len(terms) - MOST_ROWS
    more = [_text(f"… and {left_out:,} more; --json has them all")] if left_out > 0 else []
    return Group(_table(rows), *more)


def _lay_out(decision: Decision) -> _Page:
    models = [["", "model", "id", metric_label(Metric.parse(decision["metric"]))]]
    for role in ("challenger", "champion"):
        if one := decision[role]:
            value = "" if one["value"] is None else format_figure(one["value"])
            models.append([role, one["label"], one["model_id"], value])
    conditions = [[one["name"], "yes" if one["met"] else "no", one["sentence"]] for one in decision["conditions"]]
    verb = "passes the gate" if decision["promoted"] else "is refused"
    return _Page(
        f"models/{decision['challenger']['model_id']} {verb}",
        decision["promoted"],
        models,
        _say_difference(decision),
        [["condition", "met", "why"], *conditions],
        [(one["sentence"], one["is_warning"]) for one in decision["findings"]],
    )


def _say_difference(decision: Decision) -> str:
    found, margin = decision["difference"], decision["margin"]
    if found is None:
        return "There is no champion yet, so that there is nothing to compare with."
    interval = f"95 % interval {format_figure(found['low'])} to {format_figure(found['high'])}"
    difference = f"Challenger - champion: {format_figure(found['value'])}, {interval}, {found['n_users']:,} users"
    allowed = f"margin {format_figure(-margin['value'])} ({format_share(margin['share'])} of the champion's)"
    kept = f"Above what must be kept: {format_figure(margin['above'])}, "
    kept += f"95 % interval {format_figure(margin['low'])} to {format_figure(margin['high'])}"
    return f"{difference}; {allowed}. {kept}"


def _table(rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in rows[0]:
        table.add_column(_text(name), overflow="fold")
    styles = {"yes": "green", "no": "red"}
    for row in rows[1:]:
        table.add_row(*(_text(cell, styles.get(cell, "")) for cell in row))
    return table


def _text(value: str, style: str = "") -> Text:
    return Text(clean_text(value, MOST_CHARACTERS), style=style)


def _markdown_table(rows: Sequence[Sequence[str]]) -> str:
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: str) -> str:
    return clean_text(value, MOST_CHARACTERS).replace("|", "\\|")
