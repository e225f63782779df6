"""Rates of what people did with recommendations, their intervals over users, and the comparison of two arms.

Impressions of one user are not independent, and users differ by orders of magnitude in how many they have. So users are
the units, as they are of the split, and a rate is the ratio of two sums over users (Deng, Knoblich and Lu, Applying the
Delta Method in Metric Analytics, KDD 2018). Its error is that of the jackknife, which leaves out one user at a time
(Cochran, Sampling Techniques, 1977, 6.17), and its degrees of freedom come from the effective number of users (Kish,
Survey Sampling, 1965): with the plain number, and the delta method's error, the intervals are too narrow where a few
users have most impressions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, stdtr, stdtrit

from evaluation.significance import holm
from schema.arms import CHALLENGER, CHAMPION, arm_of
from schema.arrays import Floats
from schema.events import CLICKS, Event, Impression
from schema.online import (
    CLICK_THROUGH,
    PURCHASES_PER_IMPRESSION,
    PURCHASES_PER_USER,
    RATES,
    ArmDifference,
    Experiment,
    OnlineRow,
    Rate,
)
from schema.verdicts import ONLINE_TEST, Finding

ALL_SCENARIOS = "all scenarios"  # no scenario can have this name
_HALF = 0.975


class Seen(NamedTuple):
    """An impression, whether something that it showed was viewed or put in the basket, and how much was bought."""

    impression: Impression
    is_clicked: bool
    n_purchases: int


def attribute(impressions: Iterable[Impression], events: Iterable[Event]) -> list[Seen]:
    """Return what became of each impression that was not forced.

    An event belongs to the impression that it names, if that showed its item, and to its user where it is known. Of
    impressions, and of events, with one id the first counts. An item counts once as bought.
    """
    shown: dict[str, Impression] = {}
    for one in impressions:
        shown.setdefault(one.recommendation_id, one)
    clicked: set[str] = set()
    bought: dict[str, set[str]] = {}
    for event in {event.event_id: event for event in reversed(list(events))}.values():
        found = shown.get(event.recommendation_id or "")
        if found is None or event.item_id not in found.item_ids or found.user_id not in (None, event.user_id):
            continue
        if event.type in CLICKS:
            clicked.add(found.recommendation_id)
        elif event.type == "purchase":
            bought.setdefault(found.recommendation_id, set()).add(event.item_id)
    return [Seen(one, key in clicked, len(bought.get(key, ()))) for key, one in shown.items() if not one.is_forced]


def rate(numerator: Floats, denominator: Floats) -> Rate:
    """Return sum(numerator) / sum(denominator), one value of each per user, with its 95 % interval.

    The interval is value ± t * error, by Student's t with n_effective - 1 degrees of freedom, cut off at 0.

    Raises:
        ValueError: If there are no users, or the denominators add up to nothing.

    Example:
        >>> clicks, impressions = np.array([1.0, 0.0, 2.0] * 20), np.array([2.0, 1.0, 5.0] * 20)
        >>> found = rate(clicks, impressions)
        >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
        (0.375, 0.349, 0.401)
    """
    n_users, total = len(numerator), float(denominator.sum())
    if not total > 0:
        raise ValueError(f"a rate over {n_users} users who had {total:g}; expected users who had something.")
    value, shares = float(numerator.sum()) / total, denominator / total
    n_effective, error = 1 / float((shares**2).sum()), 0.0
    if shares.max() < 1:
        without = (numerator - value * denominator) / (1 - shares)
        error = float(np.sqrt((without**2).sum() * (n_users - 1) / n_users)) / total
    found = Rate(value, error, n_users, n_effective, int(np.count_nonzero(numerator)), None, None)
    if not found.has_enough:
        return found
    reach = float(stdtrit(n_effective - 1, _HALF)) * error
    return replace(found, low=max(value - reach, 0.0), high=value + reach)


def rates_of(seen: Sequence[Seen]) -> dict[str, Rate]:
    """Return the rates of some impressions by their names; an answer to somebody unknown is a user of its own."""
    names = [one.impression.user_id or (one.impression.recommendation_id,) for one in seen]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    users = np.array([numbers[name] for name in names])

    def per_user(values: Sequence[float]) -> Floats:
        return np.bincount(users, values, minlength=len(numbers)).astype(np.float64)

    impressions, purchases = per_user([1.0] * len(seen)), per_user([one.n_purchases for one in seen])
    return {
        CLICK_THROUGH: rate(per_user([one.is_clicked for one in seen]), impressions),
        PURCHASES_PER_IMPRESSION: rate(purchases, impressions),
        PURCHASES_PER_USER: rate(purchases, np.ones_like(impressions)),
    }


def tabulate_online(seen: Iterable[Seen]) -> list[OnlineRow]:
    """Return a row for each model, arm and scenario, and one for all scenarios where there are several."""
    groups: dict[tuple[str, str, str], list[Seen]] = {}
    for one in seen:
        shown = one.impression
        groups.setdefault((shown.model_id, shown.arm or "", shown.scenario), []).append(one)
    rows = []
    for (model_id, arm), keys in groupby(sorted(groups), key=lambda key: key[:2]):
        parts = {key[2]: groups[key] for key in keys}
        if len(parts) > 1:
            parts = {ALL_SCENARIOS: [one for part in parts.values() for one in part], **parts}
        for scenario, part in parts.items():
            rates = rates_of(part)
            rows.append(OnlineRow(model_id, arm or None, scenario, len(part), rates[CLICK_THROUGH].n_users, rates))
    return rows


def compare_rates(name: str, champion: Rate, challenger: Rate) -> ArmDifference:
    """Compare a rate of two arms by Welch's t-test, users being the units; p_adjusted is p_value until it is changed.

    Example:
        >>> old, new = Rate(0.10, 0.01, 900, 900.0, 90, 0.08, 0.12), Rate(0.14, 0.01, 900, 900.0, 99, 0.12, 0.16)
        >>> round(compare_rates("click-through", old, new).p_value, 4)
        0.0047
    """
    difference = challenger.value - champion.value
    if not (champion.has_enough and challenger.has_enough):
        return ArmDifference(name, champion, challenger, difference)
    error, degrees = _pool(champion, challenger, 1.0)
    reach = float(stdtrit(degrees, _HALF)) * error
    p_value = float(2 * stdtr(degrees, -abs(difference) / error)) if error else float(difference == 0)
    return ArmDifference(
        name, champion, challenger, difference, difference - reach, difference + reach, p_value, p_value
    )


def keeps_share(found: ArmDifference, margin_share: float) -> bool:
    """Tell whether the challenger is shown to keep all but a share of what the champion has, as the gate asks.

    The lower end of the 95 % interval of challenger - (1 - margin_share) * champion is above 0; see
    `evaluation.gate.judge_non_inferiority`. Nothing is shown where there are too few users.
    """
    if found.p_value is None:
        return False
    kept = 1 - margin_share
    error, degrees = _pool(found.champion, found.challenger, kept)
    return found.challenger.value - kept * found.champion.value - float(stdtrit(degrees, _HALF)) * error > 0


def _pool(champion: Rate, challenger: Rate, weight: float) -> tuple[float, float]:
    """Return the error of challenger - weight * champion, and its degrees of freedom (Welch, Satterthwaite)."""
    parts = challenger.error**2, (weight * champion.error) ** 2
    spread = parts[0] ** 2 / (challenger.n_effective - 1) + parts[1] ** 2 / (champion.n_effective - 1)
    return float(np.sqrt(sum(parts))), sum(parts) ** 2 / spread if spread else 1.0


def find_experiments(seen: Iterable[Seen]) -> list[Experiment]:
    """Return the A/B tests among impressions, the one with the latest impression last.

    A test is a name and a share: users whom a larger share moves to the other arm would be in both. Where an arm
    changed its model, only what came after the last change counts. A test of which an arm has no impression is none.
    """
    groups: dict[tuple[str, float], list[Seen]] = {}
    for one in seen:
        shown = one.impression
        if shown.experiment and shown.share is not None and shown.arm and shown.user_id:
            groups.setdefault((shown.experiment, shown.share), []).append(one)
    by_age = sorted(groups.items(), key=lambda item: max(one.impression.timestamp for one in item[1]))
    found = (_judge(name, share, part) for (name, share), part in by_age)
    return [one for one in found if one]


def _judge(name: str, share: float, seen: Sequence[Seen]) -> Experiment | None:
    drawn = [one for one in seen if one.impression.arm == arm_of(name, str(one.impression.user_id), share)]
    arms = {arm: [one for one in drawn if one.impression.arm == arm] for arm in (CHAMPION, CHALLENGER)}
    if not all(arms.values()):
        return None
    models = {arm: max(part, key=_moment).impression.model_id for arm, part in arms.items()}
    since = max(_since(part, models[arm]) for arm, part in arms.items())
    arms = {arm: [one for one in part if _moment(one) >= since] for arm, part in arms.items()}
    if not all(arms.values()):
        return None
    champion, challenger = rates_of(arms[CHAMPION]), rates_of(arms[CHALLENGER])
    differences = [compare_rates(one, champion[one], challenger[one]) for one in RATES]
    split_p = _split_p(champion[CLICK_THROUGH].n_users, challenger[CLICK_THROUGH].n_users, share)
    about = (name, share, models[CHAMPION], models[CHALLENGER], since, len(seen) - len(drawn), split_p)
    return Experiment(*about, tuple(_adjust(differences)))


def _since(seen: Sequence[Seen], model_id: str) -> int:
    """Return the second after the last impression of any other model, or that of the first one if there is no other."""
    others = (_moment(one) + 1 for one in seen if one.impression.model_id != model_id)
    return max(others, default=min(map(_moment, seen)))


def _moment(seen: Seen) -> int:
    return seen.impression.timestamp


def _split_p(n_champion: int, n_challenger: int, share: float) -> float:
    """Return the two-sided p of so many users in the arms, by the normal approximation of the binomial.

    It finds a sample ratio mismatch (Fabijan et al., Diagnosing Sample Ratio Mismatch in Online Controlled
    Experiments, KDD 2019).
    """
    n_users = n_champion + n_challenger
    return float(2 * ndtr(-abs(n_challenger - n_users * share) / np.sqrt(n_users * share * (1 - share))))


def _adjust(differences: Sequence[ArmDifference]) -> list[ArmDifference]:
    """Return the differences with p_adjusted corrected for those that are tested together."""
    tested = [one.p_value for one in differences if one.p_value is not None]
    adjusted = iter(holm(tested).tolist() if tested else [])
    return [one if one.p_value is None else replace(one, p_adjusted=next(adjusted)) for one in differences]


def judge_online(
    experiments: Sequence[Experiment], challenger_id: str, champion_id: str, margin_share: float
) -> Finding:
    """Return whether the last test of two models shows that the challenger is no worse, a warning if it does not."""
    models = champion_id, challenger_id
    found = next((one for one in reversed(experiments) if (one.champion_id, one.challenger_id) == models), None)
    if found is None:
        return Finding(ONLINE_TEST, is_warning=True, figures={"experiment": None})
    click_through = found.differences[0]
    is_shown = found.is_split_right and keeps_share(click_through, margin_share)
    figures: dict[str, str | int | float | None] = {
        "experiment": found.name,
        "is_split_right": found.is_split_right,
        "has_enough": click_through.p_value is not None,
        "challenger": click_through.challenger.value,
        "champion": click_through.champion.value,
        "difference": click_through.difference,
        "low": click_through.low,
        "high": click_through.high,
        "n_users": click_through.challenger.n_users + click_through.champion.n_users,
        "margin_share": margin_share,
    }
    return Finding(ONLINE_TEST, is_warning=not is_shown, figures=figures)
