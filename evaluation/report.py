"""One self-contained HTML page on a training run: what went in, what came out, and how good it is."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from evaluation import display, figures, findings
from evaluation.distributions import Distributions, summarise_interactions
from evaluation.funnel import Funnel, funnel_steps
from evaluation.report_input import (
    PRIMARY_K,
    PRIMARY_METRIC,
    ArtifactIds,
    CorePass,
    ExampleUser,
    HistoryEntry,
    QuarantineReason,
    RecommendedItem,
    ReportInput,
    ScoredModel,
    Source,
    SplitPart,
    SplitSummary,
)

__all__ = [
    "ArtifactIds",
    "CorePass",
    "Distributions",
    "ExampleUser",
    "Funnel",
    "HistoryEntry",
    "QuarantineReason",
    "RecommendedItem",
    "ReportInput",
    "ScoredModel",
    "Source",
    "SplitPart",
    "SplitSummary",
    "render_report",
    "summarise_interactions",
]


FOLDER = Path(__file__).parent
TEMPLATES = (FOLDER / "report.html.j2", FOLDER / "report.css")


def render_report(report: ReportInput) -> str:
    """Return the report as one HTML document that asks for nothing outside itself.

    The page needs no script, follows the reader's light or dark setting, and prints. Whatever comes from
    the data is escaped. The same input gives the same text.
    """
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            verdict=findings.judge(report),
            steps=funnel_steps(report.funnel),
            candidates=findings.rank_models(report.candidates),
            tested=findings.rank_models(report.test),
            candidate_columns=findings.metric_columns(report.candidates, PRIMARY_K),
            test_columns=findings.metric_columns(report.test),
            headline=report.chosen_on_test.find(PRIMARY_METRIC, PRIMARY_K),
            primary=(PRIMARY_METRIC, PRIMARY_K),
            candidate_charts=_draw_candidates(report),
            charts=_draw_distributions(report.distributions),
            most_drawn=figures.MOST_DRAWN,
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "bytes": display.format_bytes,
        "clean": display.clean_text,
        "count": display.format_count,
        "metric": display.format_metric,
        "share": display.format_share,
    }
    environment.globals |= {
        "best_value": findings.best_value,
        "interval": display.format_interval,
        "is_error": display.is_error,
        "metric_label": display.metric_label,
    }
    return environment


def _draw_candidates(report: ReportInput) -> dict[str, str]:
    widths = {"wide": figures.WIDE_INCHES, "narrow": figures.NARROW_INCHES}
    return {
        name: figures.draw_candidates(report.candidates, f"candidates-{name}", width) for name, width in widths.items()
    }


def _draw_distributions(shapes: Distributions) -> list[tuple[str, str]]:
    drawings = []
    if shapes.ratings:
        drawings.append(("Ratings", figures.draw_bars(shapes.ratings, "ratings", "interactions", "rating")))
    if shapes.activity:
        bars = figures.draw_bars(shapes.activity, "activity", "users", "interactions per user")
        drawings.append(("How active users are", bars))
    if shapes.popularity:
        drawings.append(("The long tail", figures.draw_popularity(shapes.popularity, "popularity")))
    if shapes.months:
        drawings.append(("Through time", figures.draw_months(shapes.months, "months")))
    return drawings
