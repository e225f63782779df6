import math
from dataclasses import replace

import pytest
from sample_report import with_data

from reports.display import (
    COVERAGE_OF_SAMPLE,
    DESCRIPTIONS,
    better_sense,
    clean_text,
    format_bytes,
    format_difference,
    format_interval,
    format_metric,
    format_p_value,
    format_range,
    format_share,
)
from reports.tables import TextTable
from reports.terminal import original_table, terminal_table
from schema.metric import Metric


def test_table_shows_every_tested_model_best_first_and_marks_the_choice(report_input):
    lines = terminal_table(report_input).splitlines()
    [first] = [place for place, line in enumerate(lines) if line.strip().startswith("→ ALS implicit, rank 64")]
    [second] = [place for place, line in enumerate(lines) if line.strip().startswith("Recent popularity")]
    assert first < second
    assert "0.1009" in lines[first]
    assert "0.0967\u20130.1051" in lines[first + 1]
    assert "0.0412\u20130.0496" in lines[second + 1]


def test_every_figure_has_its_interval_below_it(report_input):
    shown = terminal_table(report_input, width=140)
    rows = [row for model in report_input.test for row in model.metrics if row.key == Metric("recall", 10)]
    assert rows
    assert all(f"{row.low:.4f}\u2013{row.high:.4f}" in shown for row in rows)


def test_original_table_puts_honest_figures_beside(full_input):
    shown = original_table(full_input.original, width=140)
    assert "Precision@10, held-out" in shown
    for model in full_input.original:
        for column in (Metric("held_out_only_precision", 10), Metric("ndcg", 10)):
            row = model.find(column)
            assert row is None or f"{row.value:.4f}" in shown


def test_table_has_colour_codes_only_when_asked(report_input):
    assert "\x1b" not in terminal_table(report_input)
    assert "\x1b[" in terminal_table(report_input, has_colour=True)


def test_table_has_no_colour_codes_even_where_the_environment_forces_them(report_input, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" not in terminal_table(report_input)


def test_table_fits_the_width(report_input):
    for width in (60, 80, 120):
        assert max(map(len, terminal_table(report_input, width=width).splitlines())) <= width


def test_text_can_neither_style_nor_move_the_terminal(report_input):
    hostile = replace(report_input.test[1], label="[red]x[/red]\x1b[2J\n:smile:")
    shown = terminal_table(
        with_data(replace(report_input, test=[report_input.test[0], hostile]), notes=["\x07bell"]), width=140
    )
    assert "[red]x[/red]\\x1b[2J\\x0a:smile:" in shown
    assert "\\x07bell" in shown
    assert "\x07" not in shown


def test_table_says_sample_data_and_repeats_the_notes(report_input):
    shown = terminal_table(report_input)
    assert "Sample data" in shown
    assert "Note: The half-life of recent popularity was not searched." in shown
    assert "Sample data" not in terminal_table(with_data(report_input, is_sample_data=False))


def test_table_says_popularity_the_lead_the_warnings_and_the_sample(full_input):
    shown = " ".join(terminal_table(full_input, width=400).split())
    assert "all items ranked, on a sample of 2\u202f871 users" in terminal_table(full_input, width=400)
    assert COVERAGE_OF_SAMPLE in terminal_table(full_input, width=400)
    assert "Popularity alone, the same items for everyone, would have got NDCG@10 0.0397" in shown
    assert "is shown to be better than each of the 10 others (paired tests, largest p = 0.003)" in shown
    assert "Warning: For 96 of the 2 871 (3.3 %) held-out rows" in shown
    assert "rows to learn from" not in shown


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (
            [better_sense(metric) for metric in ("ndcg", "rmse", "gini", "held_out_only_ndcg")],
            ["higher", "lower", None, None],
        ),
        ([metric in DESCRIPTIONS for metric in ("coverage", "held_out_only_ndcg")], [True, False]),
        ([format_difference(value) for value in (0.01, -0.01, math.nan)], ["+0.0100", "\u22120.0100", "\u2013"]),
        (format_range(-0.01, 0.02), "\u22120.0100 to +0.0200"),
        ([format_p_value(value) for value in (0.0, 0.0009, 0.001, 1.0)], ["<0.001", "<0.001", "0.001", "1.000"]),
        ([format_metric(value) for value in (None, math.nan, math.inf)], ["\u2013"] * 3),
        ([format_interval(0.1, math.inf), format_interval(math.nan, 1.0)], ["", ""]),
        ([format_share(0.0004), format_share(0.0006)], ["<0.1\u00a0%", "0.1\u00a0%"]),
        (format_bytes(999), "999\u00a0bytes"),
        ([format_bytes(size) for size in (1_000, 2 * 10**12)], ["1.0\u00a0kB", "2.0\u00a0TB"]),
        (clean_text("Ærø 👩‍💻 80 Ω"), "Ærø 👩‍💻 80 Ω"),
        (clean_text("a\u2028b\ud800\U000e0001"), "a\\u2028b\\ud800\\U000e0001"),
        ([clean_text("x" * 120), clean_text("x" * 121)], ["x" * 120, "x" * 119 + "…"]),
    ],
)
def test_numbers_and_text_are_written_for_a_reader(shown, expected):
    assert shown == expected


def test_tables_show_text_and_obey_none_of_it():
    table = TextTable(["model", "NDCG@10"], [["a|b [c](d)\x1b[2J", ("0.1", "0.0\u20130.2")], ["plain", "\u2013"]], {0})
    assert table.to_markdown().splitlines() == [
        "| model | NDCG@10 |",
        "| --- | --- |",
        "| **a\\|b \\[c\\](d)\\\\x1b\\[2J** | 0.1 (0.0\u20130.2) |",
        "| plain | \u2013 |",
    ]
    assert table.to_records()[0] == {"model": "a|b [c](d)\\x1b[2J", "NDCG@10": "0.1 (0.0\u20130.2)"}
    assert "\x1b" not in table.to_text(width=60)
    assert "0.1 \n" not in table.to_text(width=60)
