"""Render one self-contained HTML page on a training or an evaluation: what went in, what came out, how good it is."""

from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reports import charts, display, findings, small_charts, verdicts
from reports.data_summary import Distributions, funnel_steps
from reports.drawing import NARROW_INCHES, WIDE_INCHES
from reports.reading import REASONS
from reports.report_input import PRIMARY, ReportInput
from schema.metric import Metric

FOLDER = Path(__file__).parent
TEMPLATES = (*sorted(FOLDER.glob("report*.j2")), FOLDER / "page.html.j2", FOLDER / "report.css")
WIDTHS = {"wide": WIDE_INCHES, "narrow": NARROW_INCHES}


def render_report(report: ReportInput) -> str:
    """Return the report as one HTML document that asks for nothing outside itself.

    The page needs no script, follows the reader's light or dark setting, and prints. Whatever comes from
    the data is escaped. The same input gives the same text.
    """
    tested, columns = findings.rank_models(report.test), findings.metric_columns(report.test)
    labels, pairs, fit = _segment_labels(report), _draw_pairs(report), _draw_fit(report)
    template = environment().get_template("report.html.j2")
    return template.render(
        report=report,
        verdict=findings.judge(report),
        steps=funnel_steps(report.data.reviews, report.data.dataset, report.data.min_interactions),
        candidates=findings.rank_models(report.candidates),
        tested=tested,
        candidate_columns=findings.metric_columns(report.candidates, PRIMARY.k),
        test_rows=findings.join_equal(tested, findings.metric_columns(report.test, PRIMARY.k)),
        all_test_rows=findings.join_equal(tested, columns),
        described=list(dict.fromkeys(Metric(one.name) for one in columns if one.name in display.DESCRIPTIONS)),
        headline=report.chosen_on_test.find(PRIMARY),
        primary=PRIMARY,
        popularity=findings.say_popularity(report.test),
        warnings=findings.gather_warnings(report),
        open=("test",),
        answers=findings.answer_headings(report),
        segment_labels=labels,
        segment_groups=findings.group_segments(report.evidence.segments, labels),
        windows=findings.compare_windows(report.windows),
        original_columns=findings.original_columns(report.original),
        chance=findings.say_random(report.original),
        charts=pairs,
        fit_charts=fit,
        data_charts=_draw_distributions(report.data.distributions),
        reasons=REASONS,
        most_drawn=charts.MOST_DRAWN,
    )


@cache
def environment() -> Environment:
    """Return the templates of all pages, with the formats of `reports.display` as filters."""
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"clean": display.clean_text}
    made.filters |= {
        name.removeprefix("format_"): show for name, show in vars(display).items() if name.startswith("format_")
    }
    made.globals |= {"display": display, "findings": findings, "verdicts": verdicts}
    return made


def _draw_pairs(report: ReportInput) -> dict[str, dict[str, str]]:
    """Return the charts that are drawn for both widths of the page, by name and width; "" for what is not there."""
    evidence, tested = report.evidence, findings.rank_models(report.test)
    rival = findings.strongest_baseline(report.test)
    pair = dict.fromkeys(model.label for model in (report.chosen_on_test, rival) if model)
    labels = [label for label in pair if label in evidence.segments]
    groups = findings.group_segments(evidence.segments, labels)
    windows = findings.compare_windows(report.windows), [window.label for window in report.windows]
    drawn: dict[str, Callable[[str, float], str]] = {
        "candidates": partial(charts.draw_candidates, report.candidates),
        "differences": partial(charts.draw_differences, evidence.comparisons),
        "segments": partial(charts.draw_segments, groups, labels),
        "tradeoff": partial(charts.draw_tradeoff, tested),
        "windows": partial(charts.draw_windows, *windows),
    }
    return {
        name: {size: draw(f"{name}-{size}", inches) for size, inches in WIDTHS.items()} for name, draw in drawn.items()
    }


def _segment_labels(report: ReportInput) -> list[str]:
    """Return the models with scores by segment, those tested first, in the order of their table."""
    tested = [model.label for model in findings.rank_models(report.test) if model.label in report.evidence.segments]
    return list(dict.fromkeys([*tested, *report.evidence.segments]))


def _draw_fit(report: ReportInput) -> dict[str, str]:
    """Return the charts on the chosen model by name; those without numbers are left out."""
    evidence = report.evidence
    calibrate = partial(small_charts.draw_calibration, label=evidence.calibration_label)
    drawings: list[tuple[str, Sequence[Any], Callable[[Any, str], str]]] = [
        ("histogram", evidence.ndcg_histogram, small_charts.draw_histogram),
        ("curve", report.curve, small_charts.draw_curve),
        ("calibration", evidence.calibration, calibrate),
        ("changes", evidence.beside.by_change if evidence.beside else (), small_charts.draw_changes),
    ]
    return {name: draw(values, name) for name, values, draw in drawings if values}


def _draw_distributions(shapes: Distributions) -> list[tuple[str, str]]:
    """Return titles and charts of the data; those without numbers are left out."""
    bars = small_charts.draw_bars
    drawings: list[tuple[str, str, Callable[[Any, str], str]]] = [
        ("Ratings", "ratings", partial(bars, what="interactions", per="rating")),
        ("How active users are", "activity", partial(bars, what="users", per="interactions per user")),
        ("The long tail", "popularity", small_charts.draw_popularity),
        ("Through time", "months", small_charts.draw_months),
    ]
    return [(title, draw(values, name)) for title, name, draw in drawings if (values := getattr(shapes, name))]
