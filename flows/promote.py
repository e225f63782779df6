"""Promote: put a new model in the champion's place if it is shown to be no worse, or go back to an earlier one."""

import sys
from collections.abc import Sequence
from typing import Any

from flows.cli import Result, run_stage, stage
from flows.settings import DEFAULT, Environment, read
from spark.options import SparkOptions
from tasks.options import EvaluationOptions, ModelChoice, PromotionOptions, SelectionOptions


def name_run(model: ModelChoice, promotion: PromotionOptions, **_: object) -> str:
    """Return the name of a run until its challenger is found."""
    if promotion.roll_back:
        return f"roll back to {model.model_id or 'the champion before'}"
    return f"promote {model.model_id or 'the newest model'}"


@stage(name_run)
def promote(
    *,
    model: ModelChoice = DEFAULT.model,
    promotion: PromotionOptions = DEFAULT.promotion,
    selection: SelectionOptions = DEFAULT.selection,
    evaluation: EvaluationOptions = DEFAULT.evaluation,
) -> dict[str, Any]:
    """Compare a challenger with the champion on the challenger's split, and let it take the place if the gate agrees.

    A refusal is no crash: every task completes, the decision is published, and the champion stays. But whoever asked
    for a promotion did not get one, and a pipeline that goes on as if it had would serve the old model unawares. So the
    run ends in a state of the type Failed, named Refused, the exit code is 1, and the record is written. Where no model
    was named, so that nobody asked for this one, and it was refused before in the same words, nothing is to be done.
    """
    from flows.promotion import compare_with_champion, go_back, show_history

    environment = read(Environment)
    if promotion.show_history:
        return show_history(environment.places)
    if promotion.roll_back:
        return go_back(environment.places, model, promotion)
    return compare_with_champion(environment, model, promotion, selection, evaluation)


def show_history_only(promotion: PromotionOptions, **_: object) -> Result | None:
    """Print the history if that is asked for, which needs no flow."""
    if not promotion.show_history:
        return None
    from flows.promotion import show_history

    return show_history(read(Environment).places)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the flow from the command line."""
    return run_stage(promote, arguments, uses=(SparkOptions,), instead=show_history_only)


if __name__ == "__main__":
    sys.exit(main())
