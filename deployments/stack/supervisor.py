"""The process that owns a stack, from ``make up`` to ``make down``.

    python -m deployments.stack.supervisor

It is told what to run by the same variables as ``make up``, and keeps the state where the commands find it.
"""

import os
import signal
import sys
from pathlib import Path

from loguru import logger

from deployments.stack.keeper import Keeper
from deployments.stack.plan import Plan, make_plan
from deployments.stack.settings import StackSettings
from deployments.stack.state import Phase, ProcessIdentity, ServiceState, StackState
from schema.errors import RecommenderError

STOPPED, FAILED = 0, 1


def main() -> int:
    """Keep the stack until SIGTERM; return 0 then, or 1 if it could not be started."""
    logger.remove()
    logger.add(sys.stderr, format="{time:YYYY-MM-DD HH:mm:ss.SSS} | {level: <7} | {message}", diagnose=False)
    settings = StackSettings()
    plan = make_plan(settings)
    logger.info("Chosen: {}", plan.site.sizes)
    return _keep(plan, settings.folder.resolve())


def _keep(plan: Plan, folder: Path) -> int:
    me = ProcessIdentity.of(os.getpid())
    phase: list[Phase] = ["starting"]

    def tell(services: tuple[ServiceState, ...], problem: str = "") -> None:
        StackState(supervisor=me, phase=phase[0], services=services, problem=problem).write(folder)

    keeper = Keeper(plan.services, folder, plan.secrets(), tell)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: keeper.ask_to_stop())
    tell(keeper.states())
    try:
        keeper.start()
        if not keeper.is_to_stop:
            phase[0] = "running"
            tell(keeper.states())
        keeper.watch()
    except RecommenderError as error:
        logger.error("{}", error)
        keeper.stop()
        phase[0] = "failed"
        tell(keeper.states(), str(error))
        return FAILED
    except BaseException:
        keeper.stop()
        raise
    keeper.stop()
    return STOPPED


if __name__ == "__main__":
    sys.exit(main())
