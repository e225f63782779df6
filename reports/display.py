"""Format numbers, and text that others wrote, for a reader."""

import math
import unicodedata
from typing import Literal

from schema.metric import Metric

COVERAGE_OF_SAMPLE = "More lists cover more items: compare coverage and the Gini index only for equally many."
EN_DASH = "\u2013"
MINUS = "\u2212"

Sense = Literal["higher", "lower"]

_METRIC_NAMES = {
    "ndcg": "NDCG",
    "recall": "Recall",
    "precision": "Precision",
    "hit_rate": "Hit rate",
    "mrr": "MRR",
    "reciprocal_rank": "MRR",
    "map": "MAP",
    "average_precision": "MAP",
    "rmse": "RMSE",
    "mae": "MAE",
    "gini": "Gini index",
    "popularity": "Mean popularity",
    "held_out_only_precision": "Precision, held-out items only",
    "held_out_only_ndcg": "NDCG, held-out items only",
}
_ERRORS = frozenset({"rmse", "mae"})
# These say what the lists are like; none of their values is good or bad by itself.
DESCRIPTIONS = {
    "coverage": "share of the catalogue that is recommended to anybody",
    "gini": "0: every item is recommended as often as any other; 1: all lists hold the same items",
    "popularity": "how popular the recommended items are on average; lower is less concentrated",
    "novelty": "how surprising the recommended items are, in bits",
    "diversity": "how unlike each other the items of one list are",
    "personalisation": "how unlike each other the lists of two users are",
}
# Ranking nothing but what was held out is done well by chance, so that the best of it is no merit.
_SENSELESS = frozenset({*DESCRIPTIONS, "held_out_only_precision", "held_out_only_ndcg"})
_EMOJI_JOINERS = "\u200c\u200d"
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def better_sense(metric: str) -> Sense | None:
    """Return whether higher or lower values of the metric are better; None where neither is.

    Example:
        >>> better_sense("ndcg"), better_sense("rmse"), better_sense("coverage")
        ('higher', 'lower', None)
    """
    if metric in _SENSELESS:
        return None
    return "lower" if metric in _ERRORS else "higher"


def metric_label(metric: Metric) -> str:
    """Return a metric's name for a reader.

    Example:
        >>> metric_label(Metric("rmse")), metric_label(Metric("held_out_only_ndcg", 10))
        ('RMSE', 'NDCG@10, held-out items only')
    """
    name = _METRIC_NAMES.get(metric.name, metric.name.replace("_", " ").capitalize())
    head, comma, tail = name.partition(",")
    return name if metric.k is None else f"{head}@{metric.k}{comma}{tail}"


def clean_text(text: object, limit: int = 120) -> str:
    r"""Return text on one line, cut to a length, with every invisible character spelt out.

    Control characters, direction overrides and lone surrogates become backslash escapes, so that text
    from a data file can neither move a terminal's cursor nor turn a page's text around.

    Example:
        >>> clean_text("red\x1b[31m alert")
        'red\\x1b[31m alert'
        >>> clean_text("abcdef", limit=4)
        'abc…'
    """
    head = str(text)[: limit + 1]
    cut = head if len(head) <= limit else head[: limit - 1] + "…"
    return "".join(_visible(character) for character in cut)


def _visible(character: str) -> str:
    if character in _EMOJI_JOINERS or unicodedata.category(character) not in _INVISIBLE:
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def format_count(count: int) -> str:
    """Return a count with its thousands apart: 1 234 567 (by narrow no-break spaces)."""
    return f"{count:,}".replace(",", "\u202f")


def say_sample(n_users: int | None) -> str:
    """Return what to append to words about figures that are of a sample of users; nothing where they are of all."""
    return "" if n_users is None else f", on a sample of {format_count(n_users)} users"


def format_number(value: float) -> str:
    """Return a number that may be whole as a count, others with one decimal.

    Example:
        >>> format_number(4.0), format_number(4.53)
        ('4', '4.5')
    """
    return format_count(round(value)) if float(round(value, 1)).is_integer() else f"{value:.1f}"


def format_share(share: float) -> str:
    r"""Return a share in percent; a share above 0 is never written as 0.

    Example:
        >>> format_share(0.1234), format_share(0.00001), format_share(0.0)
        ('12.3\xa0%', '<0.1\xa0%', '0\xa0%')
    """
    if share == 0:
        return "0\u00a0%"
    return f"{share:.1%}".replace("%", "\u00a0%") if share >= 0.0005 else "<0.1\u00a0%"


def format_part(n_part: int, n_all: int) -> str:
    r"""Return a number of things as a part of all of them.

    Example:
        >>> format_part(1, 8)
        '1 of the 8 (12.5\xa0%)'
    """
    return f"{format_count(n_part)} of the {format_count(n_all)} ({format_share(n_part / n_all)})"


def format_bytes(size_bytes: int) -> str:
    r"""Return a size in the largest decimal unit that leaves at least 1.

    Example:
        >>> format_bytes(1_340_000_000)
        '1.3\xa0GB'
    """
    from rich.filesize import decimal

    return decimal(size_bytes).replace(" ", "\u00a0")


def format_metric(value: float | None) -> str:
    """Return a metric with four decimals, or a dash for one that is absent or not finite.

    From 100 on one decimal is kept: mean popularities are counts.

    Example:
        >>> format_metric(0.08412), format_metric(1204.25)
        ('0.0841', '1204.2')
    """
    if value is None or not math.isfinite(value):
        return EN_DASH
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.1f}"


def format_figure(value: float) -> str:
    """Return a figure with four decimals, or with two significant digits where these would leave little of it.

    Example:
        >>> format_figure(0.79791), format_figure(-0.0000214), format_figure(0.0)
        ('0.7979', '-0.000021', '0.0000')
    """
    if value == 0 or abs(value) >= 0.001:
        return f"{value:.4f}"
    digits = 1 - math.floor(math.log10(abs(value)))
    return f"{value:.{digits}f}".rstrip("0")


def format_difference(value: float) -> str:
    r"""Return a difference with its sign (a true minus), or a dash if it is not finite.

    Example:
        >>> format_difference(0.01234), ascii(format_difference(-0.01234))
        ('+0.0123', "'\\u22120.0123'")
    """
    return f"{value:+.4f}".replace("-", MINUS) if math.isfinite(value) else EN_DASH


def format_range(low: float, high: float) -> str:
    """Return the 95 % interval of a difference, signs included, or nothing where its ends are not finite."""
    return f"{format_difference(low)} to {format_difference(high)}" if math.isfinite(low + high) else ""


def format_p_value(p_value: float) -> str:
    """Return a p-value with three decimals; one above 0 is never written as 0.

    Example:
        >>> format_p_value(0.0421), format_p_value(0.00002)
        ('0.042', '<0.001')
    """
    if not math.isfinite(p_value):
        return EN_DASH
    return f"{p_value:.3f}" if p_value >= 0.001 else "<0.001"


def format_interval(low: float, high: float) -> str:
    """Return a 95 % interval, or nothing where its ends are not finite."""
    return f"{format_metric(low)}{EN_DASH}{format_metric(high)}" if math.isfinite(low + high) else ""


def percent_of(value: float, end: float) -> str:
    """Return how far from 0 to `end` a value lies, for CSS: in percent, from 0 to 100, 0 if that is undefined.

    Example:
        >>> percent_of(0.3, 0.6), percent_of(0.7, 0.6), percent_of(0.1, 0.0)
        ('50.00', '100.00', '0.00')
    """
    share = value / end if end else 0.0
    return f"{100 * min(max(share, 0.0), 1.0):.2f}"
