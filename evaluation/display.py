"""How numbers and other people's text are written for a reader."""

import math
import unicodedata

EN_DASH = "\u2013"

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
}
_ERRORS = frozenset({"rmse", "mae"})
_EMOJI_JOINERS = "\u200c\u200d"
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def is_error(metric: str) -> bool:
    """Return whether lower values of the metric are better."""
    return metric in _ERRORS


def metric_label(metric: str, k: int | None) -> str:
    """Return a metric's name as people write it.

    Example:
        >>> metric_label("ndcg", 10), metric_label("rmse", None)
        ('NDCG@10', 'RMSE')
    """
    name = _METRIC_NAMES.get(metric, metric.replace("_", " ").capitalize())
    return name if k is None else f"{name}@{k}"


def clean_text(text: object, limit: int = 120) -> str:
    r"""Return text that shows every character it has, on one line, cut to a length.

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


def format_share(share: float) -> str:
    r"""Return a share in percent; a share above 0 is never written as 0.

    Example:
        >>> format_share(0.1234), format_share(0.00001), format_share(0.0)
        ('12.3\xa0%', '<0.1\xa0%', '0\xa0%')
    """
    if share == 0:
        return "0\u00a0%"
    return f"{share:.1%}".replace("%", "\u00a0%") if share >= 0.0005 else "<0.1\u00a0%"


def format_bytes(size_bytes: int) -> str:
    r"""Return a size in the largest decimal unit that leaves at least 1.

    Example:
        >>> format_bytes(1_340_000_000)
        '1.3\xa0GB'
    """
    size = float(size_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f}\u00a0{unit}" if unit == "bytes" else f"{size:.1f}\u00a0{unit}"
        size /= 1000
    return f"{size:.1f}\u00a0TB"


def format_metric(value: float | None) -> str:
    """Return a metric with four decimals, or a dash for one that is absent or not finite."""
    return EN_DASH if value is None or not math.isfinite(value) else f"{value:.4f}"


def format_interval(low: float, high: float) -> str:
    """Return a 95 % interval, or nothing where its ends are not finite."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"{low:.4f}{EN_DASH}{high:.4f}"
