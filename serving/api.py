"""The routes of the API."""

from pathlib import Path
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Header, Query, Request
from fastapi import Path as InPath
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, Response

from schema.events import Id
from serving import answers, metrics
from serving.answers import Asked, BasketQuery, BatchQuery, EventsQuery, RankQuery, ScenarioName
from serving.options import MAX_FOUND, MAX_N
from serving.problems import PROBLEM_JSON, ProblemAnswer
from serving.rules import Scenario
from serving.service import Service

_PROBLEM = {"model": ProblemAnswer, "content": {PROBLEM_JSON: {}}}
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {"4XX": _PROBLEM, "5XX": _PROBLEM}
DOCS: Final = Path(__file__).parent / "static" / "docs.html"

USER: Final = "/v1/users/{user_id:path}/recommendations"
BASKET: Final = "/v1/recommendations"

router = APIRouter(responses=PROBLEMS)

PathId = Annotated[Id, InPath()]
Most = Annotated[int, Query(ge=1, le=MAX_FOUND)]
Number = Annotated[int, Query(ge=1, le=MAX_N)]


class Json(Response):
    """JSON that is sent as it is."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the bytes of an answer."""
        return orjson.dumps(content)


def service_of(request: Request) -> Service:
    """Return the service of a request."""
    found: Service = request.app.state.service
    return found


@router.get(USER, tags=["recommend"], response_model=answers.Answer)
async def recommend_to_user(request: Request, user_id: PathId, asked: Annotated[Asked, Query()]) -> Response:
    """Recommend items to a user, known or new: from the lists of the night, or ranked at once if anything is new."""
    return Json(service_of(request).recommend_user(user_id, asked))


@router.post(BASKET, tags=["recommend"], response_model=answers.Answer)
async def recommend_for_basket(request: Request, query: BasketQuery) -> Response:
    """Recommend items for a basket of somebody, who need not be known (fold-in)."""
    return Json(service_of(request).recommend_basket(query))


@router.post("/v1/recommendations/batch", tags=["recommend"], response_model=answers.Batch)
async def recommend_to_users(request: Request, query: BatchQuery) -> Response:
    """Recommend items to several users."""
    return Json(await run_in_threadpool(service_of(request).recommend_batch, query))


@router.post("/v1/rank", tags=["recommend"], response_model=answers.Answer)
async def rank(request: Request, query: RankQuery) -> Response:
    """Put given items in order for a user or a basket; items that are unknown are left out."""
    return Json(service_of(request).rank(query))


@router.get("/v1/users", tags=["look up"], response_model=answers.Found)
async def find_users(request: Request, prefix: Annotated[str, Query(max_length=256)] = "", most: Most = 10) -> Response:
    """Find users whose ids begin with a text."""
    return Json(service_of(request).find_users(prefix, most))


@router.get("/v1/users/{user_id:path}", tags=["look up"], response_model=answers.User)
async def show_user(request: Request, user_id: PathId) -> Response:
    """Show what a user has."""
    return Json(service_of(request).user(user_id))


@router.get("/v1/items", tags=["look up"], response_model=answers.Products)
async def find_items(request: Request, query: Annotated[str, Query(max_length=256)], most: Most = 10) -> Response:
    """Find items by words of their titles, or by id."""
    return Json(await run_in_threadpool(service_of(request).find_items, query, most))


@router.get("/v1/items/{item_id:path}/similar", tags=["recommend"], response_model=answers.SimilarItems)
async def show_similar(request: Request, item_id: PathId, n: Number = 10) -> Response:
    """Show the items that are most like an item."""
    return Json(await run_in_threadpool(service_of(request).similar, item_id, n))


@router.get("/v1/items/{item_id:path}", tags=["look up"], response_model=answers.ProductAnswer)
async def show_item(request: Request, item_id: PathId) -> Response:
    """Show what is known of an item."""
    return Json(service_of(request).item(item_id))


@router.get("/v1/popular", tags=["recommend"], response_model=answers.PopularItems)
async def show_popular(
    request: Request,
    kind: Annotated[str | None, Query(max_length=64, description="Such as of late; the answer lists them.")] = None,
    category: Annotated[list[Id], Query(max_length=20)] = [],  # noqa: B006 - FastAPI copies it
    brand: Annotated[list[Id], Query(max_length=20)] = [],  # noqa: B006 - FastAPI copies it
    n: Number = 10,
) -> Response:
    """Show what most have: overall, of late, in a category or of a brand."""
    return Json(service_of(request).popular(kind, category, brand, n))


@router.get("/v1/model", tags=["look up"], response_model=answers.ModelAnswer)
async def show_model(request: Request) -> Response:
    """Show what is served: ids, lineage to the raw file, metrics with intervals."""
    return Json(service_of(request).model())


@router.get("/v1/scenarios", tags=["scenarios"], response_model=answers.Scenarios)
async def list_scenarios(request: Request) -> Response:
    """List the scenarios."""
    return Json(service_of(request).list_scenarios())


@router.put("/v1/scenarios/{name}", tags=["scenarios"], response_model=answers.ScenarioAnswer)
async def replace_scenario(
    request: Request,
    name: Annotated[ScenarioName, InPath()],
    scenario: Scenario,
    if_match: Annotated[str | None, Header(max_length=80, description="Version that is replaced.")] = None,
) -> Response:
    """Write a scenario to the store, if nobody else did so since; it holds at once here, elsewhere after a poll."""
    service = service_of(request)
    expected = if_match.strip().removeprefix("W/").strip('"') if if_match is not None else None
    named = await run_in_threadpool(service.replace_scenario, name, scenario, expected)
    response = Json(service.scenario(named))
    response.headers["ETag"] = f'"{named.version}"'
    return response


@router.post("/v1/events", tags=["events"], status_code=202, response_model=answers.Taken)
async def take_events(request: Request, query: EventsQuery) -> Response:
    """Take note of events: they are on the disk when this answers, and count in recommendations at once."""
    return Json(await run_in_threadpool(service_of(request).take, query.events), 202)


@router.get("/healthz", tags=["operation"], response_model=answers.Health)
async def show_health() -> Response:
    """Tell that the process answers."""
    return Json({"status": "ok"})


@router.get("/readyz", tags=["operation"], response_model=answers.Health)
async def show_readiness(request: Request) -> Response:
    """Tell whether a model is served, and what is the matter, if anything is."""
    return Json(service_of(request).readiness())


@router.get("/metrics", tags=["operation"], response_class=Response)
async def show_metrics() -> Response:
    """Show figures for Prometheus."""
    return Response(metrics.render(), media_type=metrics.CONTENT_TYPE)


@router.get("/docs", include_in_schema=False)
async def show_docs() -> Response:
    """Show this documentation."""
    return HTMLResponse(DOCS.read_bytes())
