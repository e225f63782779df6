"""The page as a person meets it: a real Chromium before a real server, with scripts and without."""

import itertools
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from sample_bundle import BRANDS, ITEM_IDS, N_ITEMS, write_store
from servers import LOOPBACK, Check, ChildServer, free_port

from schema.string_table import StringTable
from serving.keys import add_key

ROOT = Path(__file__).parents[2]
HOSTILE_ID = "<script>alert(1)</script>/..?&#%"
HOSTILE_TITLE = "<img src=x onerror=alert(1)> سماعات 无线耳机 🎧 " + "Donaudampfschifffahrt" * 6
TITLES = [f"{BRANDS[item % 3]} product no. {item}" for item in range(N_ITEMS)]
CHANGES = {
    "item_ids": StringTable.of([*ITEM_IDS[:3], HOSTILE_ID, *ITEM_IDS[4:]]),
    "titles": StringTable.of([*TITLES[:3], HOSTILE_TITLE, "", *TITLES[5:]]),
}
IS_AS_EXPECTED = re.compile("status of (404|422|503)")
SHADOWING = "[...document.querySelectorAll('form [name]')].map(one => one.name).filter(one => one in document.body)"
VIEWS = {
    "home": "/",
    "found": "/?user=user-0&item=product",
    "nothing found": "/?user=zz&item=zz&category=zz",
    "user": "/user?user_id=user-03",
    "new user": "/user?" + urlencode({"user_id": "<b>كتاب</b> 漢字 " + "x" * 200}),
    "nothing left": "/user?user_id=user-03&category=zz",
    "empty basket": "/basket",
    "basket": "/basket?" + urlencode([("item", HOSTILE_ID), ("rating", "4"), ("item", "item-06"), ("rating", "")]),
    "item": "/item?" + urlencode({"item_id": HOSTILE_ID}),
    "model": "/model",
    "unknown item": "/item?item_id=zz",
    "wrong number": "/user?user_id=user-03&n=many",
    "no such page": "/zz",
}


@contextmanager
def serve(store: Path, folder: Path, **settings: str) -> Iterator[str]:
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    environment = {
        "PYTHONPATH": str(ROOT),
        "STORE_URI": str(store),
        "WORK_DIR": str(folder / "work"),
        "API_EVENTS_DIR": str(folder / "events"),
        "API_PORT": str(port),
        **settings,
    }
    checks = [] if settings.get("API_POLL_SECONDS") else [Check(f"{url}/readyz")]
    server = ChildServer([sys.executable, "-m", "serving"], environment, [Check(f"{url}/healthz"), *checks])
    server.start()
    try:
        yield url
    finally:
        server.stop()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of a champion and a challenger, whose products have hostile ids and titles."""
    folder = tmp_path_factory.mktemp("page")
    write_store(folder / "store", "item-knn", model_id="7777bbbb", is_champion=False, **CHANGES)
    write_store(folder / "store", "item-knn", **CHANGES)
    with serve(folder / "store", folder, API_CHALLENGER="7777bbbb", API_CHALLENGER_SHARE="0.5") as address:
        yield address


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What a browser complains of, requests to others among it; nothing, at the end of each test."""
    found: list[str] = []
    yield found
    assert found == []


@pytest.fixture
def open_page(browser: Any, url: str, complaints: list[str]) -> Iterator[Any]:
    contexts = []

    def open_page(**options: Any) -> Any:
        contexts.append(browser.new_context(base_url=url, **options))
        page = contexts[-1].new_page()
        watch(page, url, complaints)
        return page

    yield open_page
    for context in contexts:
        context.close()


def watch(page: Any, url: str, complaints: list[str]) -> None:
    page.on("request", lambda one: None if one.url.startswith((url, "data:")) else complaints.append(one.url))
    page.on("console", lambda one: None if IS_AS_EXPECTED.search(one.text) else complaints.append(one.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_every_view_is_accessible_and_fits(open_page, width, scheme):
    page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    faults = []
    for name, address in VIEWS.items():
        page.goto(address)
        if page.evaluate("document.documentElement.scrollWidth") > width:
            faults.append(f"{name}: scrolls sideways")
        faults += [f"{name}: a field shadows form.{one}" for one in page.evaluate(SHADOWING)]
        violations = Axe().run(page).response["violations"]
        faults += [f"{name}: {one['id']} {one['nodes'][0]['html'][:120]}" for one in violations]
    assert faults == []


def test_text_of_others_is_shown_as_it_is(open_page):
    page = open_page()
    page.goto(VIEWS["basket"])
    assert page.get_by_role("link", name=HOSTILE_TITLE, exact=True).first.is_visible()
    page.get_by_role("link", name=HOSTILE_TITLE, exact=True).first.click()
    assert page.locator("h1").inner_text() == HOSTILE_TITLE
    assert page.get_by_text(HOSTILE_ID, exact=True).is_visible()


def test_person_is_found_and_an_event_sent_by_keyboard_alone(open_page):
    page = open_page()
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("user-2")
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("10 people").wait_for()
    page.keyboard.press("Tab")  # to the button
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Person user-20").wait_for()
    page.locator(".actions[data-htmx-powered]").first.wait_for()
    bought = page.locator("#recommended ~ ol .product a").first.inner_text()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "purchase-1":
            break
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text(f"Bought: {bought}.").wait_for()
    assert "recommendations are new" in page.get_by_role("status").inner_text()
    assert page.evaluate("document.activeElement.id") == "purchase-1"
    assert page.locator("#history ~ ol .product a").first.inner_text() == bought


@pytest.mark.parametrize("has_scripts", [True, False])
def test_event_changes_recommendations_at_once(open_page, has_scripts):
    page = open_page(java_script_enabled=has_scripts)
    page.goto(f"/user?user_id=new-{has_scripts}")
    assert page.get_by_text("What is popular with everybody").first.is_visible()
    page.get_by_label("Rating of").first.select_option("4")
    page.get_by_role("button", name="Rate").first.click()
    page.get_by_role("status").get_by_text("Rated:").wait_for()
    assert page.get_by_text("Ranked just now from what is known of this person").first.is_visible()
    assert page.locator("#history ~ ol").get_by_text("rated 4").count() == 1
    assert page.get_by_text("100 %").first.is_visible()
    assert page.locator("#recommended ~ ol .tag.new", has_text="new").count() >= 1


@pytest.mark.parametrize("has_scripts", [True, False])
def test_basket_changes_recommendations(open_page, has_scripts):
    page = open_page(java_script_enabled=has_scripts)
    page.goto("/basket")
    if has_scripts:
        page.locator("form[data-htmx-powered]").wait_for()
        page.evaluate("window.isTheSame = true")
    page.get_by_label("Words of the title").fill("no. 12")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Add Arbora product no. 12").click()
    content = page.locator("#content ~ ul")
    content.get_by_role("link").wait_for()
    assert "recommendations" in page.get_by_role("status").inner_text()
    assert content.get_by_role("link").all_inner_texts() == ["Arbora product no. 12"]
    assert page.get_by_text("Arbora product no. 12 100 %").count() >= 1
    content.get_by_label("Rating of").select_option("2")
    page.get_by_role("button", name="Use these ratings").click()
    page.wait_for_url("**rating=2**")
    assert content.get_by_label("Rating of").input_value() == "2"
    content.get_by_role("button", name="Remove").click()
    page.get_by_text("Nothing yet.").wait_for()
    assert page.evaluate("window.isTheSame === true") if has_scripts else True


def test_champion_and_challenger_stand_side_by_side(open_page):
    page = open_page()
    page.goto("/user?user_id=user-03&n=5")
    headings = {heading.split()[-1] for heading in page.locator("h2").all_inner_texts()[:2]}
    assert headings == {"champion", "challenger"}
    assert page.get_by_text("5 of 5 products are in both lists").is_visible()


def test_page_shows_what_its_json_says(open_page, url):
    page = open_page()
    page.goto("/user?user_id=user-03&category=Audio&explain=false")
    address = page.get_by_role("link", name="This view as JSON").get_attribute("href")
    answer = httpx.get(url + address, trust_env=False).json()
    shown = page.locator("#recommended ~ ol .product a").all_inner_texts()
    assert shown == [item.get("title", item["item_id"]) for item in answer["items"]]
    assert [item["categories"] for item in answer["items"]] == [["Electronics", "Audio"]] * len(shown)


def test_documentation_asks_nobody_outside_and_leads_back(open_page):
    page = open_page(viewport={"width": 360, "height": 800})
    page.goto("/docs#/recommend")
    page.get_by_role("button", name="POST /v1/recommendations", exact=False).first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_role("link", name="Recommender", exact=True).click()
    assert page.get_by_role("heading", name="Ask the model").is_visible()


def test_forms_of_other_sites_are_refused(url):
    form = {"user_id": "victim", "item_id": "item-00", "type": "purchase", "token": "1"}
    headers = {"Accept": "text/html", "Sec-Fetch-Site": "cross-site"}
    answer = httpx.post(f"{url}/user/event", data=form, headers=headers, trust_env=False)
    assert answer.status_code == 403
    assert "From another site" in answer.text
    assert "Nothing yet" in httpx.get(f"{url}/user?user_id=victim", trust_env=False).text


def test_whatever_is_asked_gets_a_page_and_never_a_500(url):
    values = [
        b"",
        b"\x00",
        b"\xed\xa0\x80",
        b"x" * 5000,
        "漢字🎧".encode(),
        b"nan",
        b"1e999",
        b"-1",
        b"<b>",
        b"\r\nX: y",
    ]
    fields = {
        "/": ("user", "item", "by", "category"),
        "/user": ("user_id", "scenario", "n", "category", "brand", "explain", "done", "item", "was"),
        "/basket": ("item", "rating", "add", "without", "query", "was"),
        "/item": ("item_id",),
        "/user/event": ("token", "type", "user_id", "item_id", "recommendation_id", "rating", "back", "was"),
    }
    good = {
        "user_id": "user-03",
        "item": "item-02",
        "item_id": "item-02",
        "type": "rating",
        "rating": "4",
        "token": "1",
    }
    answers = []
    with httpx.Client(base_url=url, headers={"Accept": "text/html"}, trust_env=False) as client:
        for path, names in fields.items():
            for name, value in itertools.product(names, values):
                asked = urlencode({field: good[field] for field in names if field in good} | {name: value})
                is_event = path == "/user/event"
                answers.append(client.post(path, content=asked) if is_event else client.get(f"{path}?{asked}"))
    assert {answer.status_code for answer in answers} == {200, 303, 404, 422}
    assert [answer for answer in answers if answer.status_code != 303 and "<h1" not in answer.text] == []


def test_page_of_a_model_that_is_not_ready_turns_into_the_one_asked_for(browser, tmp_path, complaints):
    (tmp_path / "store").mkdir()
    with serve(tmp_path / "store", tmp_path, API_POLL_SECONDS="0.1") as address:
        page = browser.new_page()
        watch(page, address, complaints)
        page.goto(f"{address}/model")
        assert page.get_by_role("heading", name="No model is ready").is_visible()
        assert Axe().run(page).response["violations"] == []
        write_store(tmp_path / "store")
        page.get_by_role("heading", name="How good it is").wait_for()
        page.close()


def test_browser_asks_for_a_key_and_is_told_what_it_is_good_for(browser, tmp_path):
    write_store(tmp_path / "store")
    keys = tmp_path / "keys.json"
    token = add_key(keys, "visitor", ["read"])
    with serve(tmp_path / "store", tmp_path, API_KEYS_FILE=str(keys)) as address:
        refusal = httpx.get(f"{address}/model", headers={"Accept": "text/html"}, trust_env=False)
        assert (refusal.status_code, "<h1>A key is needed</h1>" in refusal.text) == (401, True)
        context = browser.new_context(base_url=address, http_credentials={"username": "", "password": token})
        page = context.new_page()
        page.goto("/user?user_id=user-03")
        page.get_by_role("button", name="Buy").first.click()
        page.get_by_role("heading", name="The key is not good for this").wait_for()
        context.close()
