"""The page of an exploration, and its figures: what they say, and how a reader meets them in a real Chromium."""

from dataclasses import replace
from pathlib import Path

import pytest
from sample_exploration import HOSTILE, make_exploration, make_outlook

from reports import exploration_figures as figures
from reports.advice import advise
from reports.drawing import ACCENT, INK, Chart, to_svg
from reports.exploration import ExplorationPage, describe, render_exploration
from reports.report_input import Source
from schema.exploration import Seasons


@pytest.fixture(scope="module")
def html() -> str:
    found = make_exploration()
    source = Source("their-reviews.json.gz", "ab" * 32, 12_345)
    return render_exploration(ExplorationPage(source, found, advise(found, make_outlook()), {"Reviews": "1f3a"}))


def test_page_opens_without_complaints_asks_for_nothing_and_never_scrolls_sideways(browser, html, tmp_path: Path):
    path = tmp_path / "report.html"
    path.write_text(html, encoding="utf-8")
    requests: list[str] = []
    complaints: list[str] = []
    for width, scheme in ((320, "light"), (375, "dark"), (1280, "dark")):
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path.as_uri(), wait_until="networkidle")
        for numbers in page.locator("details").all():
            numbers.evaluate("details => details.open = true")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        named = [one.get_attribute("aria-label") for one in page.get_by_role("img").all()]
        assert len(named) >= 14
        assert all(any(letter.isdigit() for letter in label) for label in named)
        targets = {link.get_attribute("href") for link in page.locator("nav a, .checks a").all()}
        assert all(page.locator(target).count() == 1 for target in targets)
    assert (complaints, {url for url in requests if url != "data:,"}) == ([], {path.as_uri()})


def test_ids_in_the_data_are_shown_and_never_run(html):
    assert HOSTILE not in html
    assert "&lt;script&gt;alert" in html


def test_page_ends_with_advice_each_line_leading_to_a_section_that_is_there(html):
    found = make_exploration()
    sections = {section.id for section in describe(found)}
    assert {line.section for line in advise(found, make_outlook())} <= sections
    assert html.index('id="advice"') > max(html.index(f'id="{section}"') for section in sections)


def test_what_the_data_do_not_have_is_left_out_of_the_page():
    found = replace(make_exploration(), ratings=None, months=(), seasons=None, lifetimes=(), moments=None, suspects=())
    found = replace(found, summary=replace(found.summary, first=None, last=None, n_days=0, span_days=0))
    outlook = replace(make_outlook(), method="random", time_order=None, share_with_past=None)
    page = ExplorationPage(Source("x", "ab", 1), found, advise(found, outlook), {})
    html = render_exploration(page)
    assert [section.id for section in describe(found)] == ["summary", "tail", "cores", "links", "suspects"]
    assert not [section for section in ("ratings", "growth", "seasons", "moments") if f'href="#{section}"' in html]


def test_a_notebook_shows_a_figure_with_its_sentence_and_a_file_has_the_colours_of_a_light_page(tmp_path: Path):
    chart = figures.plot_user_activity(make_exploration().activity)
    shown = chart._repr_html_()
    assert f'aria-label="{chart.alt}"' in shown
    assert f"var(--accent, {ACCENT})" in shown
    chart.savefig(tmp_path / "activity.svg")
    drawn = (tmp_path / "activity.svg").read_text("utf-8")
    assert ACCENT in drawn
    assert "var(--" not in drawn


def test_text_that_looks_like_a_colour_stays_as_it_is():
    chart = figures.plot_user_activity(make_exploration().activity)
    chart.axes[0].set_xlabel(f"item {INK}")
    assert f">item {INK}</text>" in to_svg(chart, "activity", "One.")


@pytest.mark.parametrize("hostile", ['x id="b', "url(#a)", 'xlink:href="#a'])
def test_text_that_looks_like_an_id_stays_as_it_is(hostile):
    chart = figures.plot_user_activity(make_exploration().activity)
    chart.axes[0].set_xlabel(hostile)
    assert f">{hostile}</text>" in to_svg(chart, "activity", "One.")


def test_lifetimes_are_named_by_their_first_and_last_day():
    labels = labels_of(figures.plot_lifetimes(make_exploration().lifetimes))
    assert labels == ["0", "1\u20136", "7\u201329", "30\u201389", "90\u2013364", "365\u2013729", "730+"]


def test_ranges_of_large_counts_are_short_and_never_powers_of_ten():
    popularity = replace(make_exploration().popularity, counts=((1, 900), (600_000, 1)))
    labels = labels_of(figures.plot_item_popularity(popularity))
    assert labels[-1] == "524k\u20131M"
    assert labels[:3] == ["1", "2\u20133", "4\u20137"]


def test_seasons_are_left_out_where_no_year_and_no_week_is_whole():
    found = make_exploration()
    months, weekdays = (
        tuple(replace(one, index=None) for one in side) for side in (found.seasons.months, found.seasons.weekdays)
    )
    short = replace(found, seasons=Seasons(months, weekdays))
    assert "seasons" not in [section.id for section in describe(short)]


def labels_of(chart: Chart) -> list[str]:
    return [label.get_text() for label in chart.axes[0].get_xticklabels()]
