"""The report as a reader meets it, in a real Chromium."""

from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page


@pytest.fixture(params=["html", "full_html"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The page without the evidence, and with all of it."""
    return _write(tmp_path, request.getfixturevalue(request.param))


@pytest.fixture
def full_address(full_html: str, tmp_path: Path) -> str:
    return _write(tmp_path, full_html)


def _write(folder: Path, html: str) -> str:
    (folder / "report.html").write_text(html, encoding="utf-8")
    return (folder / "report.html").as_uri()


def unfold(page: Page) -> None:
    page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")


def test_report_opens_without_complaints_and_asks_for_nothing_else(browser, address):
    page = browser.new_page()
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.goto(address, wait_until="networkidle")
    assert page.title() == "Training report: sample-reviews"
    assert [url for url in requests if url not in (address, "data:,")] == []
    assert complaints == []


@pytest.mark.parametrize("width", [320, 375, 768, 1280])
def test_report_never_scrolls_sideways(browser, address, width):
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(address)
    unfold(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_report_shows_one_drawing_of_each_pair_at_each_width(browser, address):
    for width, shown, hidden in ((375, ".narrow", ".wide"), (1280, ".wide", ".narrow")):
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.goto(address)
        unfold(page)
        assert all(drawing.is_visible() for drawing in page.locator(f"{shown} svg").all())
        assert not any(drawing.is_visible() for drawing in page.locator(f"{hidden} svg").all())
        assert page.locator(f"{shown} svg").count() == page.locator(f"{hidden} svg").count() >= 1


SCHEMES: list[Literal["light", "dark"]] = ["light", "dark"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_text_stands_out_from_its_background_in_both_schemes(browser, address, scheme):
    page = browser.new_page(color_scheme=scheme)
    page.goto(address)
    unfold(page)
    ratios = page.evaluate(
        """() => {
          const rgb = text => text.match(/[\\d.]+/g).map(Number);
          const linear = c => c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
          const weights = [.2126, .7152, .0722];
          const light = rgb => weights.reduce((sum, weight, i) => sum + weight * linear(rgb[i] / 255), 0);
          const behind = element => {
            for (let at = element; at; at = at.parentElement) {
              const colour = getComputedStyle(at).backgroundColor;
              if (colour !== "rgba(0, 0, 0, 0)") return rgb(colour);
            }
            return [255, 255, 255];
          };
          const read = "h1, h2, h3, p, a, th, td, dt, dd, span, b, li, code, caption, figcaption, svg text";
          const texts = [...document.querySelectorAll(read)];
          return texts.filter(e => e.textContent.trim()).map(e => {
            const style = getComputedStyle(e);
            const own = light(rgb(e.namespaceURI.endsWith("svg") ? style.fill : style.color));
            const back = light(behind(e));
            const ratio = (Math.max(own, back) + .05) / (Math.min(own, back) + .05);
            return [ratio, e.textContent.trim().slice(0, 40)];
          });
        }"""
    )
    assert len(ratios) > 100
    assert [pair for pair in ratios if pair[0] < 4.5] == []


def test_dark_scheme_is_dark(browser, address):
    shades = []
    for scheme in SCHEMES:
        page = browser.new_page(color_scheme=scheme)
        page.goto(address)
        shades.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert shades == ["rgb(247, 245, 240)", "rgb(18, 21, 26)"]


def test_page_of_all_the_evidence_has_each_of_its_sections(browser, full_address):
    page = browser.new_page()
    page.goto(full_address)
    sections = {heading.get_attribute("id") for heading in page.locator("summary h2").all()}
    assert {"test", "proof", "guard", "closer", "segments", "lists", "windows", "original", "checks"} <= sections


@pytest.mark.parametrize(("width", "most"), [(1280, 2900), (360, 4000)])
def test_page_is_short_until_a_heading_is_clicked(browser, full_address, width, most):
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(full_address)
    assert page.evaluate("document.documentElement.scrollHeight") < most
    proof = page.get_by_role("region", name="Differences to the baselines")
    assert not proof.is_visible()
    page.get_by_text("Is it really better?").click()
    assert proof.is_visible()


def test_charts_and_strips_tell_their_numbers_to_those_who_cannot_see_them(browser, full_address):
    page = browser.new_page()
    page.goto(full_address)
    unfold(page)
    named = [image.get_attribute("aria-label") or "" for image in page.get_by_role("img").all()]
    assert len(named) >= 15
    assert [label for label in named if not any(letter.isdigit() for letter in label)] == []
    yardsticks = "random 0.0029, popularity 0.0397, weak oracle 0.1007, oracle 0.9812"
    assert f"NDCG@10, full catalogue, from 0 to 0.9812: {yardsticks}." in named


@pytest.mark.parametrize("width", [360, 1100])
def test_names_in_a_chart_neither_cover_each_other_nor_leave_it(browser, full_address, width):
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(full_address)
    unfold(page)
    faults = page.evaluate(
        """() => [...document.querySelectorAll("svg.chart")].filter(svg => svg.checkVisibility()).flatMap(svg => {
          const frame = svg.getBoundingClientRect();
          const isLevel = text => /rotate\\(-?0\\b|^(?!.*rotate)/.test(text.getAttribute("transform") || "");
          const texts = [...svg.querySelectorAll("text")].filter(isLevel);
          const boxes = texts.map(e => [e.textContent.trim(), e.getBoundingClientRect()]);
          const out = boxes.filter(([, b]) => b.left < frame.left - 2 || b.right > frame.right + 2);
          const covered = boxes.filter(([, a], i) => boxes.some(([, b], j) => j > i &&
            a.left + 2 < b.right && b.left + 2 < a.right && a.top + 6 < b.bottom && b.top + 6 < a.bottom));
          return [...out.map(([t]) => "outside: " + t), ...covered.map(([t]) => "covered: " + t)];
        })"""
    )
    assert faults == []


def test_what_is_folded_is_printed(browser, full_address):
    page = browser.new_page()
    page.goto(full_address)
    page.emulate_media(media="print")
    lead = page.locator("section p.lead")
    assert lead.count() > 8
    assert page.evaluate("e => e.checkVisibility({contentVisibilityAuto: true})", lead.last.element_handle())
    assert page.evaluate("document.documentElement.scrollHeight") > 5000
