"""Check whether a service can be used.

    python -m deployments.stack.health URL PATTERN [URL PATTERN]…

ends with 0 where every address answers with success and its answer matches the pattern, else with 1.
"""

import sys
from collections.abc import Sequence

from flows.child_server import Check, first_problem

HEALTHY, NOT_HEALTHY = 0, 1


def main(arguments: Sequence[str]) -> int:
    """Make the checks of a command line, which alternates addresses and patterns."""
    problem = first_problem([Check(*pair) for pair in zip(arguments[::2], arguments[1::2], strict=True)])
    if problem:
        sys.stderr.write(f"{problem}\n")
    return NOT_HEALTHY if problem else HEALTHY


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
