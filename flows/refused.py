"""How a flow ends that did all its work and says no: an outcome with its record, told apart from a crash."""

from typing import Any, cast

from prefect.client.schemas.objects import State
from prefect.states import Failed

from flows.command_line import StageFailed

REFUSED = "Refused"


class PromotionRefused(StageFailed):
    """The gate kept a challenger out; ``record["decision"]`` says by which condition and figures.

    Attributes:
        event: What a notice of it says that happened.
    """

    event = "promotion_refused"


def end_refused(message: str, record: dict[str, Any]) -> dict[str, Any]:
    """Return what a flow returns to end refused: whoever called it gets PromotionRefused raised.

    For Prefect it is a state of the type Failed, so that automations and hooks for failures see it, under the name
    Refused, with the reason as its message and the exception as its result.
    """
    state: State[Any] = Failed(name=REFUSED, message=message, data=PromotionRefused(message, record))
    return cast("dict[str, Any]", state)  # Prefect takes a state that a flow returns for how the flow ended
