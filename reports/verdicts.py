"""Sentences for judgements: the guard, the lead, findings and comparisons; understood without the code."""

from collections.abc import Callable, Mapping
from typing import Any

from reports.display import format_count, format_figure, format_part, format_share, metric_label
from reports.time_verdicts import TIME_SENTENCES
from schema.metric import Metric
from schema.verdicts import Comparison, Finding, Guard, Lead, MetricTrial

Figures = Mapping[str, Any]


def say_guard(guard: Guard) -> str:
    """Return whether the metric may choose a model and, where it may not, which of the others may."""
    if guard.is_fit:
        return say_trial(guard.wanted)
    if fit := next((trial for trial in guard.others if trial.is_fit), None):
        other = say_trial(fit)
    elif guard.others:
        named = ", ".join(metric_over(trial.metric) for trial in guard.others)
        other = f"None of the {len(guard.others)} others tried can either: {named}."
    else:
        other = "No other metric was tried."
    return f"{say_trial(guard.wanted)} {other}"


def say_trial(trial: MetricTrial) -> str:
    """Return whether a metric tells models apart on a split, with what the yardsticks get."""
    label = metric_over(trial.metric)
    random, popularity, weak, oracle = (format_figure(yardstick.value) for yardstick in trial.yardsticks)
    above_weak, above_chance = trial.comparisons
    match trial.flaw:
        case None:
            return (
                f"{label} tells models apart on this split: a random scorer gets {random}, popularity {popularity} and "
                f"an oracle {oracle}{_say_flat_popularity(trial)}."
            )
        case "oracle gets nothing":
            return f"Even an oracle gets {oracle}: {label} cannot tell models apart on this split."
        case "chance gets too much":
            return (
                f"A random scorer gets {random} of the {oracle} that an oracle gets: {label} cannot tell models apart "
                "on this split."
            )
        case "oracle not above a weak one":
            return _say_doubt(label, f"an oracle ({oracle})", f"one of every tenth user ({weak})", above_weak)
        case "weak oracle not above chance":
            knows = f"an oracle of every tenth user ({weak})"
            return _say_doubt(label, knows, f"a random scorer ({random})", above_chance)


def _say_flat_popularity(trial: MetricTrial) -> str:
    if not trial.is_popularity_like_chance:
        return ""
    p_value = f"(p = {trial.popularity.p_value:.2g})"
    return f"; popularity is not shown to be better than chance {p_value}: users are few, or items equally popular"


def _say_doubt(label: str, better: str, worse: str, compared: Comparison) -> str:
    claim = f"puts {better} below {worse}"
    if compared.outcome != "worse":
        claim = f"does not show {better} to be better than {worse}"
    return (
        f"{label} {claim} on the {format_count(compared.n_users)} users of this split (p = {compared.p_adjusted:.2g}), "
        "so it cannot choose between models here."
    )


def metric_over(metric: Metric) -> str:
    """Return a metric's name and what it ranks.

    Example:
        >>> metric_over(Metric("held_out_only_precision", 10))
        'Precision@10 over held-out rows'
    """
    return f"{metric_label(metric.plain)} over {'held-out rows' if metric.is_held_out_only else 'the full catalogue'}"


def say_lead(lead: Lead) -> str:
    """Return whether the winner is shown to be the best, and if not how small a difference so many users can miss."""
    if lead.runner_up is None:
        return f"Only {lead.winner} was tried: there is no choice to judge."
    led = f"{lead.winner} leads {lead.runner_up} by {format_figure(lead.lead)} over {format_count(lead.n_users)} users"
    if not lead.is_within_noise:
        others = f"each of the {lead.n_models - 1} others" if lead.n_models > 2 else "it"
        return f"{led}, and is shown to be better than {others} (paired tests, largest p = {lead.p_value:.2g})."
    missed = f"; a difference below {format_figure(lead.smallest)} is likely to be missed" * (lead.smallest > 0)
    rival = "it" if lead.rival == lead.runner_up else lead.rival
    return f"{led}, but is not shown to be better than {rival} (p = {lead.p_value:.2g}{missed})."


def say_finding(finding: Finding) -> str:
    """Return what a check found, with its numbers.

    Raises:
        KeyError: If there is no sentence for the name of the check.

    Example:
        >>> say_finding(Finding("cold users", is_warning=False, figures={"n_found": 0, "n_all": 50}))
        'All 50 users with test rows have rows to learn from.'
    """
    return _SENTENCES[finding.name](finding.figures, finding.is_warning)


def _say_count(good: str, bad: str) -> Callable[[Figures, bool], str]:
    def say(figures: Figures, _is_warning: bool) -> str:
        n_found, n_all = figures["n_found"], figures["n_all"]
        return f"{format_part(n_found, n_all)} {bad}" if n_found else good.format(format_count(n_all))

    return say


def _fill(sentence: str) -> Callable[[Figures, bool], str]:
    return lambda figures, _: sentence.format(**figures)


def _say_other_lists(figures: Figures, _is_warning: bool) -> str:
    n_same = figures["n_users"] - figures["n_better"] - figures["n_worse"]
    return (
        f"{format_part(figures['n_changed'], figures['n_lists'])} lists would differ: of {figures['k']} items "
        f"{figures['kept']:.1f} stay on average (Jaccard {figures['jaccard']:.2f}, rank-biased overlap "
        f"{figures['overlap']:.2f}). {metric_label(Metric.parse(figures['metric']))} rises for "
        f"{format_count(figures['n_better'])} users, by {format_figure(figures['rise'])} on average, falls for "
        f"{format_count(figures['n_worse'])}, by {format_figure(figures['fall'])}, stays for {format_count(n_same)}."
    )


def _say_fitted_otherwise(figures: Figures, _is_warning: bool) -> str:
    tested = "; what was tested of it was fitted without" if figures["is_tested"] else ""
    return f"While candidates were compared on validation, {figures['model']} had {figures['settings']}{tested}."


def _say_mixed_parts(figures: Figures, _is_warning: bool) -> str:
    if not figures["n_found"]:
        return "Each pair of user and item is in one part of the split only."
    return (
        f"{figures['n_found']:,} pairs of user and item were named for more than one part of the split. They are kept "
        "in the earliest of these parts alone; figures measured elsewhere on the same files are too high."
    )


def _say_small_split(figures: Figures, is_warning: bool) -> str:
    label, users = metric_label(Metric.parse(figures["metric"])), f"{format_count(figures['n_users'])} users"
    pair, smallest = f"{figures['model']} and {figures['against']}", figures["smallest"]
    if smallest is None:
        return f"{label} of {pair} does not vary over {users}: this split cannot say how small a difference it shows."
    limit = f"With {users} a difference in {label} of {format_figure(smallest)} is shown in 4 of 5 splits"
    differ = f"{pair} differ by {format_figure(abs(figures['difference']))}"
    if is_warning:
        return f"{limit}, a smaller one less often; {differ}: too little to rely on."
    return f"{limit}; {differ}, which is enough."


def _say_copy(figures: Figures, is_warning: bool) -> str:
    result = "it recommends nearly the same to everybody" if is_warning else "it is not a copy of it"
    return f"{figures['model']} shares {format_share(figures['overlap'])} of its top 10 with popularity: {result}."


def _say_chance(figures: Figures, is_warning: bool) -> str:
    verb = "is not shown to be better than" if is_warning else "is better than"
    return (
        f"{figures['model']} {verb} chance (a difference in {metric_label(Metric.parse(figures['metric']))} of "
        f"{format_figure(figures['difference'])}, 95 % interval {format_figure(figures['low'])} to "
        f"{format_figure(figures['high'])}, p = {figures['p_adjusted']:.2g}, {format_count(figures['n_users'])} users)."
    )


def _say_too_good(figures: Figures, is_warning: bool) -> str:
    value, popularity, oracle = (format_figure(figures[name]) for name in ("value", "popularity", "oracle"))
    text = f"The model gets {value} of the {oracle} that an oracle gets, popularity {popularity}"
    if is_warning:
        return f"{text}: look for held-out rows among what the model learnt from."
    return f"{text}: that is not too good to be true."


def _say_served_before(figures: Figures, _is_warning: bool) -> str:
    return (
        f"The challenger was the champion before, until models/{figures['successor']} took its place "
        f"({figures['promoted_at'] or 'at an unknown time'}: {figures['reason'] or 'no reason given'})."
    )


def _say_standing(figures: Figures, is_warning: bool) -> str:
    then, now = f"{figures['then']:.2f}", f"{figures['now']:.2f}"
    said = f"The best parameters so far get {now} times what popularity gets, and got {then} times on their own day"
    if not is_warning:
        return f"{said}."
    return (
        f"{said}: more than {format_share(figures['most_fallen'])} less, and more than chance. Code or data may hurt "
        "every model that is fitted; look for what has changed. If the data are different now, say so by a margin as "
        "wide as the fall (--promotion-margin)."
    )


_SENTENCES: dict[str, Callable[[Figures, bool], str]] = {
    "cold users": _say_count(
        "All {} users with test rows have rows to learn from.",
        "users with test rows have no row to learn from: the figures leave them out and say nothing about new users.",
    ),
    "cold items": _say_count(
        "All {} items with test rows have rows to learn from.",
        "items with test rows have no row to learn from: whoever learns from interactions alone cannot recommend them, "
        "so no such model can reach a full score.",
    ),
    "leaks": _say_count(
        "None of the {} held-out pairs of user and item is in train as well.",
        "held-out pairs of user and item are in train as well: models can remember them, so the figures are too high.",
    ),
    "known leak": _say_count(
        "None of the {} held-out pairs is known to be among what the model learnt from.",
        "held-out pairs are known to be among what the model learnt from: its figures show what it remembers, not what "
        "it can predict.",
    ),
    "mixed parts": _say_mixed_parts,
    **TIME_SENTENCES,
    "small split": _say_small_split,
    "copy of popularity": _say_copy,
    "chance": _say_chance,
    "too good": _say_too_good,
    "lists from elsewhere": _fill(
        "Of the lists, {n_unknown_items:,} items that the dataset does not know and {n_seen:,} that the user already "
        "had were taken out; {n_users_without_list:,} of {n_users:,} evaluated users have no list and count as misses."
    ),
    "served before": _say_served_before,
    "older data": _fill(
        "The challenger was trained on older data than the champion: its last interaction is of {last_day}, the "
        "champion's of {champions_last_day}."
    ),
    "standing": _say_standing,
    "best so far is gone": _fill(
        "The best parameters so far, those of models/{model_id}, cannot be fitted to this split: {why}. The champion "
        "stands in for them, so that what was lost before it counts no more."
    ),
    "other lists": _say_other_lists,
    "fitted otherwise": _say_fitted_otherwise,
    "same parameters": _fill(
        "Challenger and champion are fits of the same parameters to {data} data; fitted to one split for the "
        "comparison they are the same model, so that they differ in nothing there."
    ),
}
