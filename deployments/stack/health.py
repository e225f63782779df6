"""Whether a service can be used: what it, or who knows it, answers.

    python -m deployments.stack.health URL PATTERN [URL PATTERN]…

ends with 0 where every address answers with success and what it says has the pattern, else with 1.
"""

import re
import sys
from collections.abc import Sequence

import httpx
from pydantic import BaseModel, ConfigDict

TIMEOUT_SECONDS = 5.0
HEALTHY, NOT_HEALTHY = 0, 1


class Check(BaseModel):
    """An address that answers with success, and a regular expression that its answer has somewhere."""

    model_config = ConfigDict(frozen=True)

    url: str
    pattern: str = ""

    def problem(self) -> str | None:
        """Return why the answer does not do, or None if it does."""
        try:
            answer = httpx.get(self.url, timeout=TIMEOUT_SECONDS, trust_env=False)
        except httpx.TransportError as error:
            return f"{self.url} does not answer: {error}"
        if not answer.is_success:
            return f"{self.url} answers {answer.status_code}"
        if not re.search(self.pattern, answer.text, flags=re.DOTALL):
            return f"{self.url} does not say {self.pattern!r}"
        return None


def first_problem(checks: Sequence[Check]) -> str | None:
    """Return the first problem of several checks, or None if there is none."""
    return next((problem for check in checks if (problem := check.problem())), None)


def main(arguments: Sequence[str]) -> int:
    """Make the checks of a command line, which alternates addresses and patterns."""
    checks = [Check(url=url, pattern=pattern) for url, pattern in zip(arguments[::2], arguments[1::2], strict=True)]
    problem = first_problem(checks)
    if problem:
        sys.stderr.write(f"{problem}\n")
    return NOT_HEALTHY if problem else HEALTHY


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
