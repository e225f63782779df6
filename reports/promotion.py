"""The decision of the gate: its record, and the one way from there to the terminal and to Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType

from reports.display import clean_text, format_figure, format_share, metric_label
from reports.gate_verdicts import conditions_of, say_verdict
from reports.tables import MOST_ROWS, TextTable, more, text
from reports.verdicts import say_finding
from schema.gate_verdicts import NonInferiority, Verdict
from schema.metric import Metric
from schema.verdicts import Finding

MOST_CHARACTERS = 1000

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
        "metric": str(verdict.popularity.comparison.metric),
        "challenger": dict(challenger),
        "champion": dict(champion) if champion else None,
        "difference": _difference(verdict.champion) if verdict.champion else None,
        "margin": _margin(verdict.champion) if verdict.champion else None,
        "n_tries": verdict.n_tries,
        "best": verdict.is_best,
        "conditions": conditions_of(verdict),
        "findings": [
            {"name": one.name, "is_warning": one.is_warning, "sentence": say_finding(one)} for one in findings
        ],
    }


def _difference(found: NonInferiority) -> dict[str, Any]:
    it = found.comparison
    return {"value": it.difference, "low": it.low, "high": it.high, "p_value": it.p_value, "n_users": it.n_users}


def _margin(found: NonInferiority) -> dict[str, float | None]:
    """Return what may be lost, by how much the challenger is above what must be kept, and what could be seen."""
    above = found.comparison.difference + found.margin
    return {
        "share": found.margin_share,
        "value": found.margin,
        "above": above,
        "low": found.low,
        "high": found.high,
        "level": found.level,
        "n_hits": found.n_hits,
        "smallest_loss": found.smallest_loss,
    }


def decision_view(decision: Decision) -> RenderableType:
    """Return the decision for the terminal: tables of the models and of the conditions, and what came of them."""
    notes = [
        text(one["sentence"], "yellow" if one["is_warning"] else "", MOST_CHARACTERS) for one in decision["findings"]
    ]
    outcome = text(_say_outcome(decision), "green" if decision["promoted"] else "red")
    difference = text(_say_difference(decision), limit=MOST_CHARACTERS)
    return Group(_models(decision).to_rich(), difference, _conditions(decision).to_rich(), *notes, outcome)


def decision_markdown(decision: Decision, promotion_id: str) -> str:
    """Return the decision as a page of Markdown."""
    parts = [
        f"## {_say_outcome(decision)}",
        _models(decision).to_markdown(),
        _say_difference(decision),
        _conditions(decision).to_markdown(),
        *(f"> {clean_text(one['sentence'], MOST_CHARACTERS)}" for one in decision["findings"]),
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
        return text(f"No champion in {uri} yet", limit=MOST_CHARACTERS)
    columns = ("champion since (UTC)", "model", "promotion", "reason")
    rows = [
        [
            (term["promoted_at"] or "")[:19].replace("T", " "),
            term["model_id"],
            term["promotion"] or "none",
            term["reason"] or "",
        ]
        for term in terms[:MOST_ROWS]
    ]
    return Group(TextTable(columns, rows, n_left=4, limit=MOST_CHARACTERS).to_rich(), *more(len(terms)))


def _models(decision: Decision) -> TextTable:
    rows = [
        [role, one["label"], one["model_id"], "" if one["value"] is None else format_figure(one["value"])]
        for role in ("challenger", "champion")
        if (one := decision[role])
    ]
    return TextTable(["", "model", "id", metric_label(Metric.parse(decision["metric"]))], rows, n_left=3)


def _conditions(decision: Decision) -> TextTable:
    """Return the conditions, those that are not met in bold."""
    conditions = decision["conditions"]
    rows = [[one["name"], "yes" if one["met"] else "no", one["sentence"]] for one in conditions]
    unmet = {number for number, one in enumerate(conditions) if not one["met"]}
    return TextTable(["condition", "met", "why"], rows, unmet, n_left=3, limit=MOST_CHARACTERS)


def _say_outcome(decision: Decision) -> str:
    verb = "passes the gate" if decision["promoted"] else "is refused"
    return f"models/{decision['challenger']['model_id']} {verb}"


def _say_difference(decision: Decision) -> str:
    found, margin = decision["difference"], decision["margin"]
    if found is None:
        return "There is no champion yet, so that there is nothing to compare with."
    interval = f"95 % interval {format_figure(found['low'])} to {format_figure(found['high'])}"
    difference = f"Challenger - champion: {format_figure(found['value'])}, {interval}, {found['n_users']:,} users"
    allowed = f"margin {format_figure(-margin['value'])} ({format_share(margin['share'])} of the champion's)"
    kept = f"Above what must be kept: {format_figure(margin['above'])}, at worst {format_figure(margin['low'])}"
    return f"{difference}; {allowed}. {kept}"
