"""The page of an exploration, and its figures: what they say, and how a reader meets them in a real Chromium."""

from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from sample_exploration import HOSTILE, make_exploration, make_outlook
from sample_report import SHOWN_OF_FILE, make_file

from reports import exploration_figures as figures
from reports.advice import advise
from reports.drawing import ACCENT, INK, Chart, to_svg
from reports.exploration import ExplorationPage, describe, render_exploration
from reports.report_input import Source
from schema.exploration import NamedCount, Seasons


@pytest.fixture(scope="module")
def html() -> str:
    found = make_exploration()
    source = Source("their-reviews.json.gz", "ab" * 32, 12_345)
    return render_exploration(
        ExplorationPage(source, found, advise(found, make_outlook()), {"Reviews": "1f3a"}, make_outlook())
    )


def test_page_shows_how_the_file_was_understood_and_what_is_gone():
    found = make_exploration()
    page = ExplorationPage(Source("x", "ab", 1), found, advise(found, make_outlook()), {}, make_outlook(), make_file())
    text = unescape(render_exploration(page))
    assert [shown for shown in SHOWN_OF_FILE if shown not in text] == []


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


def test_long_ids_leave_room_for_the_figures_beside_them_on_a_phone(browser, tmp_path: Path):
    found = make_exploration()
    top = (NamedCount("AG2L7H23R5LLKDKLBEF2Q3L2MVDA-1234567890", 89),)
    found = replace(found, activity=replace(found.activity, top=top))
    path = tmp_path / "report.html"
    page_of_it = ExplorationPage(Source("x", "ab", 1), found, advise(found, make_outlook()), {}, make_outlook())
    path.write_text(render_exploration(page_of_it), encoding="utf-8")
    page = browser.new_page(viewport={"width": 375, "height": 800})
    page.goto(path.as_uri())
    page.get_by_text("The most active users").click()
    figure = page.get_by_role("region", name="The most active users").locator("td")
    assert figure.evaluate(
        """cell => {
          cell.scrollIntoView({block: "center", inline: "nearest"});
          const number = document.createRange();
          number.selectNodeContents(cell);
          const box = number.getBoundingClientRect();
          const seen = x => document.elementFromPoint(x, box.top + box.height / 2) === cell;
          return seen(box.left + 1) && seen(box.right - 1);
        }"""
    )


def test_the_yardsticks_of_each_metric_are_shown_where_the_advice_on_it_leads():
    found, outlook = make_exploration(), make_outlook()
    section = next(section for section in describe(found, outlook) if section.id == "yardsticks")
    [table] = section.tables.values()
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["NDCG@10"] == [
        "0.0040 (0.0020\u20130.0060)",
        "0.0340 (0.0320\u20130.0360)",
        "0.0936 (0.0916\u20130.0956)",
        "0.9000 (0.8980\u20130.9020)",
    ]
    assert "400 users" in section.about
    assert "515" in section.about
    leads = {line.topic: line.section for line in advise(found, outlook)}
    assert leads["Which metric"] == leads["How small a difference"] == "yardsticks"


def test_ids_in_the_data_are_shown_and_never_run(html):
    assert HOSTILE not in html
    assert "&lt;script&gt;alert" in html


def test_page_ends_with_advice_each_line_leading_to_a_section_that_is_there(html):
    found = make_exploration()
    sections = {section.id for section in describe(found, make_outlook())}
    assert {line.section for line in advise(found, make_outlook())} <= sections
    assert html.index('id="advice"') > max(html.index(f'id="{section}"') for section in sections)


def test_what_the_data_do_not_have_is_left_out_of_the_page():
    found = replace(make_exploration(), ratings=None, months=(), seasons=None, lifetimes=(), moments=None, suspects=())
    found = replace(found, summary=replace(found.summary, first=None, last=None, n_days=0, span_days=0))
    outlook = replace(make_outlook(), method="random", time_order=None, share_with_past=None)
    page = ExplorationPage(Source("x", "ab", 1), found, advise(found, outlook), {}, outlook)
    html = render_exploration(page)
    assert [section.id for section in describe(found, make_outlook())] == [
        "summary",
        "tail",
        "cores",
        "yardsticks",
        "links",
        "suspects",
    ]
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
    assert "seasons" not in [section.id for section in describe(short, make_outlook())]


def labels_of(chart: Chart) -> list[str]:
    return [label.get_text() for label in chart.axes[0].get_xticklabels()]


def test_items_that_all_hang_together_are_said_to():
    links = replace(make_exploration().co_purchases, n_components=1, largest_component=300)
    assert figures.plot_co_purchases(links).alt.endswith("Users lead from every item to every other.")
