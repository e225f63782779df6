"""What is asked most often, answered without FastAPI, whose way there costs as much as the answer."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schema.events import Id
from serving.answers import Asked, BasketQuery
from serving.api import BASKET, USER, Json, router, service_of
from serving.problems import Problem

QUERIES_KEPT: Final = 256
LISTS: Final = frozenset({"exclude", "category", "brand"})
USERS, RECOMMENDATIONS = USER.split("{user_id:path}")
IS_JSON: Final = (b"content-type", b"application/json")

_IDS: Final = TypeAdapter[str](Id)


class Shortcut:
    """ASGI middleware that answers requests for a user or a basket as their routes would, and passes on all others.

    Among these are requests that do not fit, which FastAPI reads again to say why.
    """

    def __init__(self, app: ASGIApp, handlers: Mapping[type[Exception], Callable[[Any], Problem]]) -> None:
        self.app, self.handlers = app, handlers
        self._routes = {getattr(route, "path", ""): route for route in router.routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on.

        Raises:
            Problem: For an error that has a handler.
        """
        way = (scope["method"], scope["path"]) if scope["type"] == "http" else ("", "")
        try:
            if way == ("POST", BASKET) and IS_JSON in scope["headers"]:
                scope["route"] = self._routes[BASKET]
                request = Request(scope, receive)
                body = await request.body()
                receive = _again(body, receive)
                answer = service_of(request).recommend_basket(BasketQuery.model_validate_json(body))
            elif way[0] == "GET" and way[1].startswith(USERS) and way[1].endswith(RECOMMENDATIONS):
                user_id = _IDS.validate_python(way[1][len(USERS) : -len(RECOMMENDATIONS)])
                scope["route"] = self._routes[USER]
                asked = _asked_in(scope["query_string"])
                answer = service_of(Request(scope)).recommend_user(user_id, asked)
            else:
                answer = None
        except (ValidationError, ClientDisconnect):
            answer = None
        except tuple(self.handlers) as error:
            raise next(handle(error) for kind, handle in self.handlers.items() if isinstance(error, kind)) from error
        await (self.app if answer is None else Json(answer))(scope, receive, send)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return what receives a body that was received before, then what comes after it."""
    messages: list[Message] = [{"type": "http.request", "body": body}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again


@lru_cache(QUERIES_KEPT)
def _asked_in(query_string: bytes) -> Asked:
    """Return what a query asks for."""
    query = QueryParams(query_string)
    return Asked.model_validate({name: query.getlist(name) if name in LISTS else query[name] for name in query})
