"""An exploration that was never made, for tests of what shows one."""

from dataclasses import replace

from schema.distributions import Bar, Distribution, Side
from schema.exploration import (
    Concentration,
    CoPurchases,
    Core,
    Exploration,
    Lifetimes,
    Link,
    LinkShare,
    Moments,
    Month,
    NamedCount,
    RatingSummary,
    RatingYear,
    Season,
    Seasons,
    Summary,
    TopShare,
)
from schema.metric import Metric
from schema.outlook import Outlook
from schema.suspects import Suspect, Suspects
from schema.verdicts import Comparison, Finding, Guard, MetricTrial, Yardstick

HOSTILE = '<script>alert("x")</script>'
DAY = 86_400


def spread(n: int, median: float, greatest: float) -> Distribution:
    return Distribution(
        n, median * 1.3, median / 2, 1, 2, median / 2, median, median * 2, median * 3, greatest / 2, greatest
    )


def concentration(side: Side, n: int) -> Concentration:
    counts = tuple((count, max(n // count**2, 1)) for count in range(1, 90))
    top = TopShare(0.01, 3, 0.12), TopShare(0.1, 30, 0.4), TopShare(0.2, 60, 0.61)
    return Concentration(side, spread(n, 4, 89), counts, 0.61, top, (NamedCount(HOSTILE, 89), NamedCount("B1", 70)))


def lifetimes(side: Side) -> Lifetimes:
    ends = ((0, 0), (1, 6), (7, 29), (30, 89), (90, 364), (365, 729), (730, 2000))
    bars = tuple(Bar(low, high, 40 + 10 * place) for place, (low, high) in enumerate(ends))
    return Lifetimes(side, spread(490, 120, 2000), bars, 0.13, spread(900, 12, 800))


def make_months(n: int = 40) -> tuple[Month, ...]:
    names = [f"{2010 + place // 12}-{place % 12 + 1:02d}" for place in range(n)]
    return tuple(Month(name, 90 + 4 * at, 60 + at, 40, 50 - at, 20, 55, 22) for at, name in enumerate(names))


def suspects(side: Side, n_found: int = 2) -> Suspects:
    worst = Suspect(HOSTILE, 60, 44, 1_388_534_400, 1_388_534_400 + 3 * DAY, 5.0, 1.2e-9)
    others = tuple(replace(worst, id=f"{side[0].upper()}{at}", n_suspicious=20 - at) for at in range(n_found - 1))
    return Suspects(side, "burst", 490, 0.05, n_found, (worst, *others) if n_found else ())


def make_exploration() -> Exploration:
    """What a file with all there can be would give."""
    sides = concentration("users", 600), concentration("items", 300)
    years = tuple(RatingYear(2010 + at, 400 * (at + 1), 3.9 + at / 10, 1.2) for at in range(4))
    bars = tuple(Bar(stars, stars, 100 * stars) for stars in range(1, 6))
    months = tuple(Season(name, 300 + at, 0.9 + at / 50) for at, name in enumerate(_MONTHS))
    weekdays = tuple(Season(name, 300 + at, 0.9 + at / 30) for at, name in enumerate(_WEEKDAYS))
    links = tuple(LinkShare(least, 1 - least / 10, spread(300, 40 / least, 290)) for least in (1, 2, 5))
    return Exploration(
        Summary(6000, 600, 300, 5900, 100, 60, 0.0328, 0, 0, 1, 0, 1_262_304_000, 1_388_534_400, 1100, 1462),
        RatingSummary(replace(spread(6000, 4, 5), mean=4.21), bars, years),
        *sides,
        tuple(Core(k, 600 - 20 * k, 300 - 8 * k, 5900 - 150 * k) for k in range(1, 21)),
        make_months(),
        Seasons(months, weekdays),
        (lifetimes("users"), lifetimes("items")),
        CoPurchases(300, 520, links, 4, 290, (Link(HOSTILE, "B2", 31, 0.4),)),
        Moments(6000, 0.04, 0.2, 0.7, 0.0, 0.01, 1100, ((1, 5760), (2, 120)), ((1, 4800), (2, 450), (4, 75))),
        (suspects("users"), suspects("items", 0)),
    )


def make_outlook(*, is_fit: bool = True) -> Outlook:
    """What a training would do with that file."""
    metrics = Metric("ndcg", 10), Metric("recall", 10), Metric("precision", 10)
    wanted, *others = (_trial(metric, is_fit=is_fit or metric.name == "recall") for metric in metrics)
    figures = {
        "share_simultaneous": 0.04,
        "share_with_past": 0.7,
        "largest_day": 0.01,
        "n_days": 1100,
        "span_days": 1462,
    }
    order = Finding("time order", is_warning=False, figures=figures)
    small = {"model": "popularity", "against": "random", "metric": "ndcg_10", "n_users": 400, "difference": 0.03}
    smallest = Finding("small split", is_warning=False, figures={**small, "smallest": 0.004})
    return Outlook(5, 5150, 500, 260, "rolling", "", order, 0.66, 400, 400, 515, Guard(wanted, tuple(others)), smallest)


def _trial(metric: Metric, *, is_fit: bool) -> MetricTrial:
    oracle = 0.1 if metric.name == "precision" else 0.9
    values = {"random": 0.004, "popularity": 0.034, "weak oracle": 0.0036 + oracle / 10, "oracle": oracle}
    yardsticks = tuple(Yardstick(name, value, value - 0.002, value + 0.002) for name, value in values.items())
    compared = Comparison("popularity", "random", metric, 0.03, 0.02, 0.04, 0.001, 0.001, 400)
    return MetricTrial(
        metric, yardsticks, (compared, compared), compared, None if is_fit else "weak oracle not above chance"
    )


_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September", "October"),
    *("November", "December"),
)
