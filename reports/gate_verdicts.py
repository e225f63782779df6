"""Sentences for the gate's judgement on a challenger; understood without the code."""

from typing import Any

from reports.display import format_count, format_figure, format_share, metric_label
from reports.online import say_online_test
from reports.verdicts import say_finding, say_guard
from schema.gate_verdicts import (
    BEATS_POPULARITY,
    CHAMPION,
    KEEPS_BEST,
    LEVEL,
    METRIC_IS_FIT,
    NO_LEAK,
    NOT_WORSE,
    NOT_WORSE_ONLINE,
    STANDS_AS_BEFORE,
    NonInferiority,
    Verdict,
)
from schema.verdicts import Comparison

_SAME = "The challenger is a fit of the same parameters as the champion: nothing is lost."


def conditions_of(verdict: Verdict) -> list[dict[str, Any]]:
    """Return the conditions of the gate as ``decision.json`` holds them: name, met, and a sentence why."""
    compared = {NOT_WORSE: verdict.champion, KEEPS_BEST: verdict.best, BEATS_POPULARITY: verdict.popularity}
    reasons = {name: say_non_inferiority(one) for name, one in compared.items() if one}
    reasons[next(iter(reasons))] += _say_tries(verdict)
    if verdict.popularity.comparison.difference < 0:
        reasons[BEATS_POPULARITY] += " Its mean is below popularity's, which it may not be."
    if verdict.champion and verdict.champion.is_same:
        reasons[KEEPS_BEST] = _SAME
    reasons |= {
        NOT_WORSE_ONLINE: say_online_test(verdict.online) if verdict.online else "",
        STANDS_AS_BEFORE: say_finding(verdict.standing) if verdict.standing else "",
        METRIC_IS_FIT: _say_metric(verdict),
        NO_LEAK: _say_leaks(verdict),
    }
    return [{"name": name, "met": is_met, "sentence": reasons[name]} for name, is_met in verdict.conditions.items()]


def say_verdict(verdict: Verdict, challenger: str, champion: str | None) -> str:
    """Return what the gate decides of a challenger, and why: the conditions that are not met, or the first one."""
    conditions = conditions_of(verdict)
    if verdict.is_promoted:
        place = f"may take the place of {champion}" if champion else "may be the first champion"
        return f"{challenger} {place}. {conditions[0]['sentence']}"
    return " ".join([f"{challenger} is refused.", *(one["sentence"] for one in conditions if not one["met"])])


def say_non_inferiority(result: NonInferiority) -> str:
    """Return how a challenger compares with a model, with what must be kept of it, and which loss could be seen."""
    it, other = result.comparison, result.comparison.against
    if result.is_same:
        return f"{_SAME.replace(CHAMPION, other)}{'' if result.margin_share else ' It is not shown to be better.'}"
    values = f"{format_figure(result.value)}, that of {other} {format_figure(result.against_value)}"
    allowed = ""
    if result.margin_share:
        above = f"{_signed(it.difference + result.margin)} from what must be kept, at worst {_signed(result.low)}"
        share = format_share(result.margin_share)
        allowed = f"; {share} of it, {format_figure(result.margin)}, may be lost, and the challenger is {above}"
    compared = f"{metric_label(it.metric)} of {it.model} is {values}: {_say_difference(it)}{allowed}"
    return f"{compared}: {_say_result(result)}. {_say_power(result)}"


def _say_result(result: NonInferiority) -> str:
    if not result.has_enough_hits:
        return f"{_hits(result)} show nothing"
    if result.is_shown:
        return "no more is lost" if result.margin else "it is better"
    if result.high < 0:
        return "more is lost" if result.margin else "it is worse"
    return "it is not shown that no more is lost" if result.margin else "it is not shown to be better"


def _say_power(result: NonInferiority) -> str:
    n_users, loss = result.comparison.n_users, result.smallest_loss
    if loss is None:
        return (
            f"Of {result.comparison.against} these {format_count(n_users)} users have no hit: it has nothing to lose."
        )
    if result.is_shown and loss >= 1:  # of little, which a challenger that is far better does not lose
        return f"These {format_count(n_users)} users have {_hits(result)}."
    said = f"With these {format_count(n_users)} users ({_hits(result)}) a loss below {format_share(min(loss, 1.0))}"
    if result.is_shown or result.high < 0 or loss <= result.margin_share or not result.margin_share:
        return f"{said} could not have been seen."
    needed = format_count(int(n_users * (loss / result.margin_share) ** 2))
    return (
        f"{said} could not have been seen; {format_share(result.margin_share)} takes about {needed}: hold out more, "
        "wait for more data, or allow a wider margin (--promotion-margin)."
    )


def _hits(result: NonInferiority) -> str:
    return f"{format_count(int(result.n_hits))} hits"


def _say_tries(verdict: Verdict) -> str:
    if verdict.n_tries == 1:
        return ""
    limits = f"{100 * verdict.popularity.level:.2g} % instead of {100 * LEVEL:.2g} %"
    return f" {verdict.n_tries} challengers were tried on this split, so that this one's risk of error is {limits}."


def _say_metric(verdict: Verdict) -> str:
    if verdict.guard.is_fit:
        return say_guard(verdict.guard)
    ignored = " Let through by --guard warn: the decision is arbitrary."
    advice = " To promote all the same, knowing that the decision is arbitrary: --guard warn."
    return say_guard(verdict.guard) + (ignored if verdict.may_warn else advice)


def _say_leaks(verdict: Verdict) -> str:
    return " ".join(map(say_finding, [one for one in verdict.leaks if one.is_warning] or verdict.leaks))


def _say_difference(it: Comparison) -> str:
    return f"{_signed(it.difference)}, {_say_interval(it.low, it.high)}, over {format_count(it.n_users)} users"


def _say_interval(low: float, high: float) -> str:
    return f"95 % interval {_signed(low)} to {_signed(high)}"


def _signed(value: float) -> str:
    return f"+{format_figure(value)}" if value > 0 else format_figure(value)
