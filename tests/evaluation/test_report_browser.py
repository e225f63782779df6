"""The report as a reader meets it, in a real Chromium."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, sync_playwright

from evaluation.report import ReportInput, render_report

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-sync",
    "--disable-component-update",
]  # fmt: skip

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no Chromium at {CHROMIUM}; apt-get install chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def address(report_input: ReportInput, tmp_path: Path) -> str:
    page = tmp_path / "report.html"
    page.write_text(render_report(report_input), encoding="utf-8")
    return page.as_uri()


def test_report_opens_without_complaints_and_asks_for_nothing_else(browser: Browser, address: str) -> None:
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
def test_report_never_scrolls_sideways(browser: Browser, address: str, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(address)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_report_shows_one_drawing_of_the_candidates_at_each_width(browser: Browser, address: str) -> None:
    for width, shown, hidden in ((375, ".narrow", ".wide"), (1280, ".wide", ".narrow")):
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.goto(address)
        assert page.locator(f"{shown} svg").is_visible()
        assert not page.locator(f"{hidden} svg").is_visible()


SCHEMES: list[Literal["light", "dark"]] = ["light", "dark"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_text_stands_out_from_its_background_in_both_schemes(
    browser: Browser, address: str, scheme: Literal["light", "dark"]
) -> None:
    page = browser.new_page(color_scheme=scheme)
    page.goto(address)
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
          const texts = [...document.querySelectorAll("h1, h2, p, th, td, span, b, li, code, svg text")];
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


def test_dark_scheme_is_dark(browser: Browser, address: str) -> None:
    shades = []
    for scheme in SCHEMES:
        page = browser.new_page(color_scheme=scheme)
        page.goto(address)
        shades.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert shades == ["rgb(247, 245, 240)", "rgb(18, 21, 26)"]
