import re
from dataclasses import replace
from html import unescape
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_report import table

from reports.charts import MOST_DRAWN, draw_candidates, draw_differences, draw_tradeoff
from reports.data_summary import summarise_interactions
from reports.drawing import new_axes, spread_apart, to_svg
from reports.report_input import ScoredModel
from reports.small_charts import draw_bars, draw_histogram, draw_months, draw_popularity, share_of_top
from schema.metric import HistogramBin


def drawn_labels(svg: str) -> list[str]:
    return [unescape(text) for text in re.findall(r"<text [^>]*>([^<]*)</text>", svg)]


def test_summary_counts_ratings_months_users_and_items():
    times: list[int | None] = [1_388_534_399, 1_388_534_400, 1_393_632_000, 1_393_632_001]
    shapes = summarise_interactions(table([0, 0, 0, 1], [0, 1, 2, 0], [5, 3, 5, 1], times))
    assert shapes.ratings == (("1", 1), ("3", 1), ("5", 2))
    assert shapes.months == (("2013-12", 1), ("2014-01", 1), ("2014-02", 0), ("2014-03", 2))
    assert shapes.activity == (("1", 1), ("2", 0), ("3\u20134", 1))
    assert (shapes.popularity[0], shapes.popularity[-1]) == ((0.0, 0.0), (1.0, 1.0))


def test_summary_of_input_without_ratings_and_times_leaves_them_empty():
    shapes = summarise_interactions(table([0], [0], [None], [None]))
    assert (shapes.ratings, shapes.months) == ((), ())


@given(st.lists(st.floats(1, 5, width=32), min_size=1, max_size=60))
def test_summary_loses_no_rating_however_many_values_there_are(ratings):
    size = len(ratings)
    shapes = summarise_interactions(table([0] * size, list(range(size)), list(ratings), [None] * size))
    assert sum(count for _, count in shapes.ratings) == size
    assert len(shapes.ratings) <= 11


@given(st.lists(st.integers(0, 30), min_size=1, max_size=200))
def test_popularity_curve_never_lies_under_the_diagonal_nor_falls(items):
    curve = summarise_interactions(table([0] * len(items), items, [None] * len(items), [None] * len(items))).popularity
    shares, held = np.array(curve).T
    assert (held >= shares - 1e-6).all()
    assert (np.diff(held) >= 0).all()


def test_share_of_top_is_read_off_the_curve():
    items = [0] * 6 + [1, 2, 3, 4]
    curve = summarise_interactions(table([0] * 10, items, [None] * 10, [None] * 10)).popularity
    assert share_of_top(curve) == pytest.approx(0.6)


def test_candidates_are_drawn_best_first_with_their_labels(report_input):
    labels = drawn_labels(draw_candidates(report_input.candidates, "c"))
    models = [label for label in labels if not re.fullmatch(r"0\.\d+|NDCG.*", label)]
    assert models[0] == "ALS implicit, rank 64, reg 1"
    assert models[-1] == "Random"
    assert len(models) == 11


def test_candidates_chart_of_many_keeps_baselines_and_choice(report_input):
    first = report_input.candidates[0]
    many = [replace(first, label=f"ALS {n}", is_chosen=False) for n in range(100)]
    labels = drawn_labels(draw_candidates([*many, *report_input.candidates[3:]], "c"))
    assert {"Popularity", "Random", "ALS implicit, rank 64, reg 1"} <= set(labels)
    assert sum(label.startswith("ALS ") for label in labels) == MOST_DRAWN - 4


def test_candidates_without_a_finite_score_are_left_out_of_the_chart(report_input):
    row = replace(report_input.candidates[0].metrics[0], value=float("nan"))
    svg = draw_candidates([ScoredModel("Broken", {}, [row]), *report_input.candidates], "c")
    assert "Broken" not in svg


def test_markup_and_mathematics_in_a_label_are_drawn_as_text(report_input):
    model = replace(report_input.candidates[0], label="<b>$x_1$</b>")
    svg = draw_candidates([model], "c")
    assert "<b>" not in svg
    assert "<b>$x_1$</b>" in drawn_labels(svg)


def test_charts_take_their_colours_from_the_page():
    svg = draw_bars([("1", 3), ("2", 5)], "b", "users", "rating")
    assert "var(--accent" in svg
    assert re.findall(r"#0\d0\d0\d\b", svg) == []


def test_charts_carry_their_numbers_as_alternative_text():
    svg = draw_bars([("1", 3), ("2", 5000)], "b", "users", 'rating "q"')
    assert 'role="img" aria-label="Users by rating &quot;q&quot;. 1: 3; 2: 5\u202f000."' in svg
    assert "the most, 9, in 2014-02" in draw_months([("2014-01", 4), ("2014-02", 9)], "m")
    assert "hold 60.0\u00a0%" in draw_popularity([(0.0, 0.0), (0.2, 0.6), (1.0, 1.0)], "p")


def test_months_are_labelled_by_year_when_there_are_several():
    years = [(f"{year}-{month:02}", 1) for year in range(2000, 2014) for month in range(1, 13)]
    labels = drawn_labels(draw_months(years, "m"))
    assert {"2000", "2003", "2012"} <= set(labels)
    assert "2013-05" in drawn_labels(draw_months([("2013-05", 2), ("2013-06", 1)], "m"))


def test_ids_of_a_chart_start_with_its_name():
    svg = draw_months([("2013-05", 2), ("2013-06", 1)], "when")
    ids = re.findall(r'\bid="([^"]*)"', svg)
    assert ids
    assert all(value.startswith("when-") for value in ids)


def test_svg_is_the_same_for_the_same_figure_and_names_no_font_and_no_address():
    def draw() -> str:
        figure, axes = new_axes(3, 2)
        axes.plot([0, 1], [1, 0])
        axes.set_xlabel("time")
        return to_svg(figure, "line", "A line.")

    assert draw() == draw()
    assert "DejaVu" not in draw()
    assert "http" not in draw()


def test_bar_that_dwarfs_the_rest_is_cut_and_keeps_its_share():
    most, half = ([HistogramBin(0, 0, n), HistogramBin(0, 1, 100)] for n in (900, 200))
    assert {"90.0\u00a0%", "bar cut"} <= set(drawn_labels(draw_histogram(most, "h")))
    assert "bar cut" not in drawn_labels(draw_histogram(half, "h"))


def test_differences_are_told_with_their_intervals(full_input):
    svg = unescape(draw_differences(full_input.evidence.comparisons, "d"))
    assert "Item-item <kNN> +0.0016 (\u22120.0021 to +0.0053)" in svg
    assert draw_differences([], "d") == ""


def test_tradeoff_names_each_model_measured_in_both(full_input, report_input):
    assert {model.label for model in full_input.test} <= set(drawn_labels(draw_tradeoff(full_input.test, "t")))
    assert draw_tradeoff(report_input.test, "t") == ""


@given(st.lists(st.floats(0, 1), max_size=12))
def test_places_spread_apart_keep_their_order_and_the_gap(places):
    moved = spread_apart(places, gap=0.1)
    order = sorted(range(len(places)), key=lambda at: places[at])
    assert all(moved[b] - moved[a] >= 0.1 - 1e-9 for a, b in pairwise(order))
