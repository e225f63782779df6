"""Answers that are no success: what is wrong, what was found and what to do (RFC 9457)."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, Field, JsonValue

PROBLEM_JSON: Final = "application/problem+json"


class Problem(Exception):
    """An answer that is no success, as RFC 9457 describes it.

    Attributes:
        status: HTTP status.
        title: What is wrong, in few words.
        detail: What was found and what to do.
        headers: Of the answer, such as Retry-After.
        more: Further members, such as the errors of a body.
    """

    def __init__(
        self, status: int, title: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail, self.headers, self.more = status, title, detail, headers or {}, more


class ProblemAnswer(BaseModel):
    """What went wrong and what to do (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str = Field(description="Id of the request, as in the log.")
    errors: list[dict[str, JsonValue]] | None = None
