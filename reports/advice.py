"""Advice for a training, from what an exploration found: each line with the figure that it comes from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reports.display import clean_text, format_count, format_share
from reports.exploration_words import say_core, say_moments
from reports.tables import escape_markdown, number
from reports.verdicts import say_finding, say_guard
from schema.distributions import Side
from schema.exploration import Exploration
from schema.outlook import Outlook
from schema.suspects import Suspects
from schema.verdicts import POPULAR

LEAST_LEFT = 0.2
"""Share of the interactions that the k-core should leave, below which it is called a few."""
MOST_SHARED = 0.1
"""Share of rows at one second with another of their user, above which the order within it is worth a warning."""
MOST_NAMED = 3


@dataclass(frozen=True)
class Advice:
    """What a figure says to a training.

    Attributes:
        topic: What it is about, in a few words.
        sentence: The figure, what a training by default does with it, and what to do where that is not enough.
        section: Id of the report's section that shows the figure.
        is_warning: Whether a training by default stops, or its figures may mislead.
    """

    topic: str
    sentence: str
    section: str
    is_warning: bool = False


def advise(found: Exploration, outlook: Outlook) -> list[Advice]:
    """Return what the figures say to a training, the choices first, then what to look at."""
    return [
        _on_cores(found, outlook),
        _on_split(found, outlook),
        *_on_metric(outlook),
        _on_timestamps(found, outlook),
        *_on_ratings(found),
        *_on_repeats(found),
        *_on_ids(found),
        *(_on_suspects(found, side) for side in ("users", "items")),
    ]


def _on_cores(found: Exploration, outlook: Outlook) -> Advice:
    k, topic, section = outlook.min_interactions, "Which k", "cores"
    by_k = {core.k: core for core in found.cores}
    left = [core for core in found.cores if core.n_interactions]
    if not outlook.n_interactions:
        most = left[-1]
        said = (
            f"The {k}-core leaves nothing, and a training with --min-interactions {k} stops. Of the k up to "
            f"{found.cores[-1].k}, {most.k} is the largest that leaves anything, {say_core(most, by_k[1])}: use "
            f"--min-interactions {most.k}, or bring more reviews."
        )
        return Advice(topic, said, section, is_warning=True)
    share = outlook.n_interactions / by_k[1].n_interactions
    keeps = f"--min-interactions {k} keeps {format_share(share)} of the interactions"
    users, items = (format_count(n) for n in (outlook.n_users, outlook.n_items))
    if share < LEAST_LEFT:
        other = max(
            (core for core in left if core.n_interactions >= LEAST_LEFT * by_k[1].n_interactions),
            key=lambda core: core.k,
        )
        said = (
            f"{keeps}, of {users} users and {items} items: all figures of a training are of these few. "
            f"--min-interactions {other.k} keeps {say_core(other, by_k[1])}."
        )
        return Advice(topic, said, section, is_warning=True)
    return Advice(topic, f"{keeps}, of {users} users and {items} items; a training goes on with these.", section)


def _on_split(found: Exploration, outlook: Outlook) -> Advice:
    topic, section = "Which split", "moments" if found.moments else "summary"
    if outlook.problem:
        return Advice(
            topic, f"A training by default finds nothing to split: {outlook.problem}", section, is_warning=True
        )
    if outlook.method == "rolling":
        said = (
            "A training splits by time (--split rolling) and predicts each interaction of the last tenth from the days "
            f"before: {format_share(outlook.share_with_past or 0.0)} of what is held out, or more, has an earlier day "
            "of its user."
        )
        return Advice(topic, said, section)
    if outlook.time_order is None:
        return Advice(topic, "Without timestamps a training holds out rows at random (--split random).", section)
    why = "the order of the timestamps says little"
    if outlook.time_order and not outlook.time_order.is_warning:
        share = format_share(outlook.share_with_past or 0.0)
        why = f"of what the last tenth would hold out, only {share} has an earlier day of its user"
    said = (
        f"A training holds out the last interaction of each user (--split leave-last), since {why}; figures so "
        "measured flatter, for models learn from what came later."
    )
    return Advice(topic, said, section, is_warning=True)


def _on_metric(outlook: Outlook) -> Iterator[Advice]:
    guard, smallest = outlook.guard, outlook.smallest
    if guard is None or smallest is None:
        return
    stops = "" if guard.is_fit else " A training by default stops here; --guard warn goes on."
    yield Advice("Which metric", f"{say_guard(guard)}{stops}", "yardsticks", is_warning=not guard.is_fit)
    precision = next(one for one in (guard.wanted, *guard.others) if one.metric.name == "precision")
    n_lists = outlook.n_held_out if outlook.method == "rolling" else outlook.n_tried
    n_hits = round(precision.value(POPULAR) * (precision.metric.k or 0) * n_lists)
    sample = "" if outlook.n_tried == outlook.n_evaluated else f", a sample of the {format_count(outlook.n_evaluated)},"
    said = (
        f"{format_count(outlook.n_tried)} users in validation{sample} have {format_count(outlook.n_held_out)} "
        f"interactions to be found, of which popularity has about {format_count(n_hits)} among its first ten. "
        f"{say_finding(smallest)}"
    )
    yield Advice("How small a difference", said, "yardsticks", is_warning=smallest.is_warning)


def _on_timestamps(found: Exploration, outlook: Outlook) -> Advice:
    topic, section, moments, order = "Timestamps", "moments", found.moments, outlook.time_order
    if moments is None:
        return Advice(topic, "There are none, so that a model may learn from later events.", "summary", is_warning=True)
    if order is None:
        return Advice(topic, say_moments(moments), section, is_warning=True)
    said = f"In the {outlook.min_interactions}-core, {say_finding(order)}"
    if not order.is_warning and float(order.figures["share_simultaneous"] or 0) >= MOST_SHARED:
        said += (
            " But nobody knows what came first among those that share their second: trust the order of days, as a "
            "rolling split does, and no finer one."
        )
        return Advice(topic, said, section, is_warning=True)
    return Advice(topic, said, section, is_warning=order.is_warning)


def _on_ratings(found: Exploration) -> Iterator[Advice]:
    if found.ratings is None:
        yield Advice("Ratings", "There are none: a training leaves out the models that need them.", "summary")
    elif found.ratings.distribution.least == found.ratings.distribution.greatest:
        said = (
            "All are equal: a training by default ranks and does not mind, but errors of predicted ratings say nothing."
        )
        yield Advice("Ratings", said, "ratings", is_warning=True)


def _on_repeats(found: Exploration) -> Iterator[Advice]:
    if n := found.summary.n_repeated:
        identical = f"{format_count(found.summary.n_identical)} of them with the same rating and time"
        said = (
            f"{format_count(n)} rows repeat a pair of user and item, {identical}: a training keeps the first of each, "
            "so that what is held out is new to its user; --repeats latest keeps the latest, for ratings that change."
        )
        yield Advice("Repeated rows", said, "summary")


def _on_ids(found: Exploration) -> Iterator[Advice]:
    n_users, n_items = found.summary.n_users_alike, found.summary.n_items_alike
    if n_users or n_items:
        said = (
            f"{number(n_users, 'user id')} and {number(n_items, 'item id')} are another's but for blanks: a training "
            "takes them for different ones. Clean the file if they are not."
        )
        yield Advice("Ids", said, "summary", is_warning=True)


def _on_suspects(found: Exploration, side: Side) -> Advice:
    topic, section = f"{side.capitalize()} to look at", "suspects"
    tested = [one for one in found.suspects if one.side == side]
    if not tested:
        said = f"No {side.removesuffix('s')} could be tested: there are no ratings and timestamps, or too few."
        return Advice(topic, said, section)
    flagged = [one for one in tested if one.n_found]
    if not flagged:
        reasons = ", ".join(one.reason for one in tested)
        return Advice(topic, f"Chance explains what was tested of the {side}: {reasons}.", section)
    named = "; ".join(map(_name, flagged))
    said = (
        f"{named[:1].upper()}{named[1:]}. A training keeps them: look at each with --{side.removesuffix('s')} ID, and "
        "take the rows of those that are not real out of the file."
    )
    return Advice(topic, said, section, is_warning=True)


def _name(flagged: Suspects) -> str:
    ids = ", ".join(clean_text(one.id, 40) for one in flagged.worst[:MOST_NAMED])
    return f"{flagged.reason}: {format_count(flagged.n_found)} ({ids}{', …' if flagged.n_found > MOST_NAMED else ''})"


def advice_markdown(advice: Sequence[Advice]) -> str:
    """Return advice as Markdown; no id in it can change its form."""
    signs = {True: "**!**", False: "✓"}
    rows = [f"| {signs[one.is_warning]} {one.topic} | {escape_markdown(one.sentence, 900)} |" for one in advice]
    return "\n".join(["| for | what the figures say |", "| --- | --- |", *rows])
