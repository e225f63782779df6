"""Forms of the page: whose they are, what counts as the same event, and where a page that asks again leads."""

import asyncio
from types import SimpleNamespace

import httpx
import pytest
from fastapi import Request

from serving.options import ServingOptions
from serving.page import show_problem
from serving.problems import Problem
from serving.web import create_app

HOST = "shop.internal:8000"
FORM = {"token": "0123", "type": "view", "user_id": "someone", "item_id": "item-01", "rating": "5"}


def post(forms, **headers):
    """Send forms to the page, and return the statuses and the events that were taken."""
    app, events = create_app(ServingOptions(api_events_dir=None)), []
    app.state.service = SimpleNamespace(take=events.extend)

    async def send():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}", headers=headers) as client:
            return [(await client.post("/user/event", data=form)).status_code for form in forms]

    return asyncio.run(send()), events


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"origin": f"http://{HOST}"}, 303),
        ({"origin": f"https://{HOST}"}, 303),
        ({"origin": "http://inside.example", "sec-fetch-site": "same-origin"}, 303),  # a proxy's name for it
        ({"origin": "http://evil.example"}, 403),
        ({"origin": f"http://{HOST}.evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
def test_forms_of_other_sites_are_refused_where_a_browser_says_only_the_origin(headers, status):
    statuses, events = post([FORM], **headers)
    assert (statuses, len(events)) == ([status], int(status == 303))


def test_another_user_item_or_rating_on_the_same_page_is_another_event_and_a_repeat_is_not():
    rated = FORM | {"type": "rating"}
    forms = [FORM, FORM | {"item_id": "item-02"}, FORM | {"user_id": "other"}, rated, rated | {"rating": "4"}]
    statuses, events = post([*forms, FORM, FORM | {"rating": "1"}])
    ids = [event.event_id for event in events]
    assert statuses == [303] * 7
    assert len({*ids}) == 5
    assert ids[5:] == [ids[0]] * 2


@pytest.mark.parametrize(
    ("path", "again"),
    [("//evil.example/x", "/evil.example/x"), ("/\\evil.example", "/%5Cevil.example"), ("/\t/evil", "/%09/evil")],
)
def test_a_page_that_asks_again_asks_this_site(path, again):
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"a=b", "headers": [(b"host", b"a")]}
    body = show_problem(Request(scope), Problem(503, "Too busy", "try again."), "1").body.decode()
    assert f'hx-get="{again}?a=b"' in body
    assert f'href="{again}?a=b"' in body
    assert 'href="//' not in body
