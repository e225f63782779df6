"""The page: HTML of what the routes of the API answer, which works without scripts."""

import secrets
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from itertools import zip_longest
from typing import Annotated, Any, Final, Literal, TypeVar
from urllib.parse import parse_qsl, quote, urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.staticfiles import StaticFiles

from schema.arms import CHALLENGER, CHAMPION, Arm
from schema.events import Event, Id
from serving import page_figures as figures
from serving.answers import Asked, BasketQuery, ScenarioName
from serving.api import service_of
from serving.lookup import Json
from serving.problems import Problem
from serving.rendering import render, say_verdicts
from serving.service import Service
from storage.canonical import short_digest
from storage.layout import RAW

MOST_FOUND: Final = 20
MOST_POPULAR: Final = 6
MOST_SHOWN: Final = 50
MOST_OFFERED: Final = 200
MOST_CHARACTERS: Final = 2000
DONE: Final = {"view": "Viewed", "basket": "Put into the basket", "purchase": "Bought", "rating": "Rated"}
Checked = TypeVar("Checked", bound=BaseModel)
Text = Annotated[str, Query(max_length=256)]
Texts = Annotated[list[Annotated[str, Query(max_length=256)]], Query(max_length=MOST_SHOWN)]
Flags = Annotated[list[Literal["true", "false"]], Query(min_length=1, max_length=2)]

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


class Static(StaticFiles):
    """Files of the page, which a browser keeps, and asks each time whether they are still the same."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Return a file, or that it has not changed."""
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "no-cache"
        return response


Answers = Annotated[Service, Depends(service_of)]


def is_wanted(request: Request) -> bool:
    """Tell whether a problem is to be a page: a browser asks, and not for JSON."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/v1/")


def show_problem(request: Request, problem: Problem, request_id: str) -> HTMLResponse:
    """Return a problem as a page that says what to do; one that asks again by itself where that helps."""
    is_passing = request.method == "GET" and problem.status == HTTPStatus.SERVICE_UNAVAILABLE
    html = render(
        "error",
        here=request.url.path,
        status_code=problem.status,
        heading=problem.title,
        detail=problem.detail,
        request_id=request_id,
        again=f"/{quote(request.scope['path'].lstrip('/'))}?{request.url.query}" if is_passing else None,
    )
    return HTMLResponse(html, problem.status, problem.headers)


def _checked(model: type[Checked], given: Json) -> Checked:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error


def _number(text: str) -> float | str:
    """Return the number that a text says; another text as it is, for the check that refuses it."""
    try:
        return float(text)
    except ValueError:
        return text


def _show(service: Service, view: str, *, json: str = "", **context: Any) -> HTMLResponse:
    model = service.model()
    about = model["about"]
    raw_name = next((one["name"] for one in about["lineage"] if one.get("name")), None)
    here = "/" if view == "home" else f"/{view}"
    return HTMLResponse(render(view, here=here, json=json, model=model, about=about, raw_name=raw_name, **context))


@router.get("/")
def show_home(service: Answers, user: Text = "", item: Text = "", by: Text = "", category: Text = "") -> HTMLResponse:
    """Find a person or a product, and see what is popular and what serves."""
    popular = service.popular(by or None, [category] if category else [], [], 10)
    asked = {"kind": popular["kind"]} | ({"category": category} if category else {})
    bundle = service.catalogue().bundle
    examples = [] if item else figures.examples(bundle)
    found = service.find_users(user, MOST_FOUND)["user_ids"] if user else examples
    return _show(
        service,
        "home",
        json=f"/v1/popular?{urlencode(asked)}",
        user=user,
        users=[{"user_id": one, "n_items": figures.n_items(bundle, one)} for one in found],
        item=item,
        items=service.find_items(item, MOST_FOUND)["items"] if item else [],
        most=MOST_FOUND,
        popular=popular,
        category=category,
        categories=figures.commonest(bundle.categories, MOST_OFFERED),
    )


@router.get("/user")
def show_user(
    service: Answers,
    user_id: Annotated[Id, Query()],
    scenario: ScenarioName = "home",
    n: Text = "",
    category: Text = "",
    brand: Text = "",
    explain: Flags = ["true"],  # noqa: B006 - FastAPI copies it
    done: Text = "",
    item: Text = "",
    was: Texts = [],  # noqa: B006
) -> HTMLResponse:
    """Show what a person has beside what is recommended, by the champion and by the challenger."""
    form = {"scenario": scenario, "n": n, "category": category, "brand": brand, "explain": explain[0]}
    given = {name: value for name, value in form.items() if value}
    asked = _checked(Asked, given | {name: [given[name]] for name in ("category", "brand") if name in given})
    answer = service.recommend_user(user_id, asked)
    other = _by_other_arm(service, user_id, asked, answer["arm"])
    shown = [one["item_id"] for one in answer["items"]]
    bundle = service.catalogue().bundle
    return _show(
        service,
        "user",
        json=f"/v1/users/{quote(user_id, safe='')}/recommendations?{urlencode(given)}",
        user_id=user_id,
        history=_history(service, user_id),
        is_known=bundle.user_ids.find(user_id) is not None,
        form=form,
        answer=answer,
        other=other,
        n_shared=len({*shown} & {one["item_id"] for one in other["items"]}) if other else 0,
        was=was,
        status=f"{_say_event(service, done, item)} {_say_change(shown, was)}".strip(),
        scenarios=service.list_scenarios()["scenarios"],
        categories=figures.commonest(bundle.categories, MOST_OFFERED),
        brands=figures.commonest(bundle.brands, MOST_OFFERED),
        takes_events=service.journal is not None,
        token=secrets.token_hex(8),
        back=urlencode(form),
        most=MOST_SHOWN,
    )


def _history(service: Service, user_id: str) -> list[Json]:
    """Return what a person has, the newest first, with the last event of each item."""
    try:
        history: list[Json] = service.user(user_id)["history"]
    except Problem as problem:
        if problem.status != HTTPStatus.NOT_FOUND:
            raise
        return []
    events = {one.item_id: one.type for one in service.journal.of_user(user_id)} if service.journal else {}
    return [one | {"event": events.get(one["item_id"])} for one in history]


def _by_other_arm(service: Service, user_id: str, asked: Asked, arm: Arm) -> Json | None:
    """Return the same by the other arm of the A/B test; None where there is none, or it is not ready."""
    other: Arm = CHAMPION if arm == CHALLENGER else CHALLENGER
    follower = service.followers.get(other)
    if follower is None or follower.current is None:
        return None
    return service.recommend_user(user_id, asked.model_copy(update={"arm": other}))


def _say_event(service: Service, done: str, item_id: str) -> str:
    if done not in DONE:
        return ""
    return f"{DONE[done]}: {_product(service, item_id).get('title', item_id)}."


def _say_change(shown: Sequence[str], was: Sequence[str]) -> str:
    if not was:
        return ""
    if list(shown) == list(was):
        return "The recommendations stay as they were."
    n_new = len({*shown} - {*was})
    return f"{n_new} of {len(shown)} recommendations are new." if n_new else "The recommendations change places."


def _product(service: Service, item_id: str) -> Json:
    """Return what is known of a product; of one that is not known, its id."""
    catalogue = service.catalogue()
    item = catalogue.bundle.item_ids.find(item_id)
    return {"item_id": item_id} if item is None else catalogue.detail(item)


def _is_foreign(headers: Mapping[str, str]) -> bool:
    """Tell whether a form is another site's; over plain HTTP browsers say only its origin."""
    if site := headers.get("sec-fetch-site"):
        return site != "same-origin"
    host = headers.get("host", "").lower()
    return headers.get("origin", f"http://{host}").lower() not in (f"http://{host}", f"https://{host}")


@router.post("/user/event")
async def take_event(request: Request, service: Answers) -> Response:
    """Take the event of a form, and show the person again, with what it changed."""
    if _is_foreign(request.headers):
        raise Problem(403, "From another site", "events are taken from the page's own forms only.")
    pairs = parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
    form = dict(pairs)
    given: Json = {name: form[name] for name in ("type", "user_id", "item_id", "recommendation_id") if form.get(name)}
    if form.get("type") == "rating":
        given["rating"] = _number(form.get("rating", ""))
    about = short_digest(repr(given).encode())
    event = _checked(Event, {"event_id": f"page-{form.get('token')}-{about}"} | given)
    await run_in_threadpool(service.take, [event])
    back = dict(parse_qsl(form.get("back", "")))
    query = {"user_id": event.user_id} | back | {"done": event.type, "item": event.item_id}
    was = urlencode([pair for pair in pairs if pair[0] == "was"])
    return RedirectResponse(f"/user?{urlencode(query)}&{was if len(was) <= MOST_CHARACTERS else ''}", 303)


@router.get("/basket")
def show_basket(
    service: Answers,
    item: Texts = [],  # noqa: B006
    rating: Texts = [],  # noqa: B006
    add: Text = "",
    without: Text = "",
    query: Text = "",
    was: Texts = [],  # noqa: B006
) -> Response:
    """Recommend to somebody of whom only a basket is known, which is kept in the address."""
    rated = dict(zip_longest(item, rating[: len(item)], fillvalue=""))
    if add or without:
        rated = {one: value for one, value in {**rated, **({add: ""} if add else {})}.items() if one != without}
        pairs = [pair for one, value in rated.items() for pair in (("item", one), ("rating", value))]
        kept = [*pairs, ("query", query), *(("was", one) for one in was)]
        return RedirectResponse(f"/basket?{urlencode(kept)}", 303)
    basket: list[Json] = [
        {"item_id": one, **({"rating": _number(value)} if value else {})} for one, value in rated.items()
    ]
    answer = service.recommend_basket(_checked(BasketQuery, {"items": basket, "explain": True}))
    if query:
        found = service.find_items(query, MOST_FOUND)["items"]
    else:
        found = [] if basket else service.popular(None, [], [], MOST_POPULAR)["items"]
    return _show(
        service,
        "basket",
        json="/docs#/recommend",
        json_label="The same as JSON: POST /v1/recommendations",
        basket=[_product(service, one["item_id"]) | one for one in basket],
        query=query,
        suggestions=[one for one in found if one["item_id"] not in rated],
        answer=answer,
        was=was,
        status=_say_change([one["item_id"] for one in answer["items"]], was),
    )


@router.get("/item")
def show_item(service: Answers, item_id: Annotated[Id, Query()]) -> HTMLResponse:
    """Show a product, those like it, and the categories of what its owners have too."""
    found = service.item(item_id)
    bundle = service.catalogue().bundle
    n_owners, shares = figures.tastes(bundle, bundle.item_ids.find(item_id) or 0)
    similar = service.similar(item_id, 10)
    json = f"/v1/items/{quote(item_id, safe='')}"
    return _show(service, "item", json=json, item=found, n_owners=n_owners, shares=shares, similar=similar)


@router.get("/model")
def show_model(service: Answers) -> HTMLResponse:
    """Show what serves, how good it is, and where it came from."""
    about = service.model()["about"]
    lineage = about["lineage"]
    n_back = next((place for place, one in enumerate(lineage, 1) if one["kind"] == RAW), 0)
    return _show(
        service,
        "model",
        json="/v1/model",
        verdicts=say_verdicts(about["verdicts"]),
        tables=figures.measured(about),
        lineage=(lineage[:n_back], lineage[n_back:]),
        scenarios=service.list_scenarios()["scenarios"],
    )
