"""How the page is written: templates, numbers for readers, and sentences for judgements."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader

from schema.metric import Metric
from schema.verdicts import ALPHA

FOLDER: Final = Path(__file__).parent
WAYS: Final = {
    "lists": "from the lists of the night",
    "exact": "ranked just now, among all products",
    "fold-in": "ranked just now from what is known of this person",
    "popular-in-category": "what is popular in the categories of what they looked at",
    "popular": "what is popular with everybody",
}
METRICS: Final = {"ndcg": "NDCG", "map": "MAP", "mrr": "MRR", "rmse": "RMSE", "mae": "MAE"}
NO_BREAK: Final = "\N{NO-BREAK SPACE}"

Figures = Mapping[str, Any]


def render(template: str, **context: Any) -> str:
    """Return a page as HTML; whatever comes from data is escaped."""
    return _environment().get_template(f"{template}.html.j2").render(context)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "thousands": lambda number: f"{number:,}",
        "plain": lambda number: f"{number:g}",
        "score": format_score,
        "metric": lambda value: f"{value:.4f}" if abs(value) < 100 else f"{value:,.1f}",
        "percent": lambda share: f"{100 * share:.0f}{NO_BREAK}%",
        "day": lambda seconds: f"{datetime.fromtimestamp(seconds, UTC):%-d %b %Y}".replace(" ", NO_BREAK),
        "moment": lambda seconds: f"{datetime.fromtimestamp(seconds, UTC):%-d %b %Y, %H:%M} UTC",
        "iso_day": lambda seconds: f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}",
        "url": lambda path, **query: f"{path}?{urlencode(query)}",
        "quoted": lambda text: quote(text, safe=""),
        "shortened": lambda text: text if len(text) <= 60 else f"{text[:59]}…",
        "initial": lambda text: next((letter for letter in text if letter.isalnum()), "·").upper(),
        "sentence": lambda text: f"{text[:1].upper()}{text[1:]}",
    }
    environment.globals |= {"ways": WAYS}
    return environment


def format_score(value: float) -> str:
    """Return a score with about three digits.

    Example:
        >>> format_score(1234.5), format_score(2.1), format_score(0.01234), format_score(-0.5)
        ('1,234', '2.10', '0.0123', '-0.500')
    """
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:#.3g}"


def metric_label(name: str, k: int | None) -> str:
    """Return a metric's name for a reader.

    Example:
        >>> metric_label("ndcg", 10), metric_label("hit_rate", 10), metric_label("rmse", None)
        ('NDCG@10', 'Hit rate@10', 'RMSE')
    """
    return METRICS.get(name, name.replace("_", " ").capitalize()) + (f"@{k}" if k else "")


def say_verdicts(found: Figures) -> list[tuple[bool, str]]:
    """Return what was found when the model was chosen, each with whether it speaks for the figures."""
    sayings = []
    if guard := found.get("guard"):
        metric, flaw = Metric.parse(guard["wanted"]["metric"]), guard["wanted"]["flaw"]
        label = metric_label(metric.plain.name, metric.k)
        said = f"{label} tells good models from chance on this data."
        sayings.append((not flaw, said if not flaw else f"{label} cannot choose between models on this data: {flaw}."))
    if lead := found.get("lead"):
        sayings.append((_is_clear(lead), _say_lead(lead)))
    return sayings


def _is_clear(lead: Figures) -> bool:
    return lead["runner_up"] is not None and lead.get("p_value", 1.0) < ALPHA


def _say_lead(lead: Figures) -> str:
    if lead["runner_up"] is None:
        return f"Only {lead['winner']} was tried, so there was no choice to judge."
    led = f"{lead['winner']} led {lead['runner_up']} by {lead['lead']:.4f} when it was chosen"
    if _is_clear(lead):
        return f"{led}, and was shown to be better than each of the {lead['n_models'] - 1} others."
    return f"{led}, but was not shown to be better than {lead.get('rival') or lead['runner_up']}: both may be as good."
