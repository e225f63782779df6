"""Check rows of reviews: named pandera checks, each over the different values of a few partitions at a time."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
import pyarrow.compute as pc
from pandera.backends.pandas import builtin_checks  # noqa: F401 - the first check would import it, in half a second
from pandera.errors import SchemaErrors

from reviews.options import UNITS_PER_SECOND, TimeForm
from reviews.time_forms import EARLIEST_REVIEW
from schema.columns import Columns

MAX_ID_CHARACTERS = 256
FAILURE_SCHEMA = pa.schema([(Columns.LINE, pa.int64()), ("reason", pa.string())])
MISSING = (  # as programs write it
    *("NULL", "null", "NA", "N/A", "#N/A", "<NA>", "NaN", "nan", "None", "none", "\\N"),
    *("undefined", "#NAME?", "#VALUE!", "#REF!", "-", "?"),
)

_CONTROL_CHARACTERS = "[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]"
_TOTALS = (
    "total",
    "Total",
    "TOTAL",
    "totals",
    "Totals",
    "TOTALS",
    "grand total",
    "Grand total",
    "Grand Total",
    "GRAND TOTAL",
)
_ROUNDED_NUMBER = r"^[+-]?\d(?:[.,]\d+)?[eE]\+\d{2,3}$"
_UNIT_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}

Rule = Callable[["pd.Series[float]"], "pd.Series[bool]"]


@dataclass(frozen=True)
class Limits:
    """What the values of a file are held to.

    Attributes:
        low: The lowest rating.
        high: The highest rating; infinite where the scale has no upper end.
        latest_timestamp: Unix seconds after which a timestamp is refused.
        time_form: The unit in which the file has its timestamps, or "iso".
    """

    low: float = -inf
    high: float = inf
    latest_timestamp: int = 2**40
    time_form: TimeForm = "s"


@dataclass(frozen=True)
class Check:
    """One check of one column.

    Attributes:
        name: The column that it checks, which also names the task; rows of a file without it pass.
        rules: Given the limits, reason -> which values are right; only the first rule sees nulls.
    """

    name: str
    rules: Callable[[Limits], dict[str, Rule]]

    def schema(self, limits: Limits) -> pandera.DataFrameSchema:
        """Return the pandera schema that holds the rules."""
        checks = [
            pandera.Check(rule, error=reason, ignore_na=i > 0, name=reason)
            for i, (reason, rule) in enumerate(self.rules(limits).items())
        ]
        return pandera.DataFrameSchema({self.name: pandera.Column(checks=checks, nullable=True)})


def run_check(check: Check, tables: Sequence[pa.Table], limits: Limits) -> list[pa.Table]:
    """Return line and reason of every row of each table that fails the check, in line order; a row may by several.

    A table has the reviews of a partition: the check's column where the file has it, and line. Each value that occurs
    is looked at once: ids and ratings occur often.
    """
    checked = [table[check.name] for table in tables if check.name in table.column_names]
    if not any(len(one) for one in checked):
        return [FAILURE_SCHEMA.empty_table() for _ in tables]
    distinct = pc.unique(pa.chunked_array([chunk for one in checked for chunk in one.chunks]))
    failures = _failing(check, distinct, limits)
    return [_failing_rows(check, table, distinct, failures) for table in tables]


def _failing(check: Check, values: pa.Array, limits: Limits) -> pd.DataFrame:
    """Return places of the values that fail and the reasons, a row for each, by place and in the order of the rules."""
    frame = pa.table({check.name: values}).to_pandas(types_mapper=_pandas_type)
    try:
        check.schema(limits).validate(frame, lazy=True)
    except SchemaErrors as errors:
        if errors.failure_cases["index"].isna().any():  # a rule itself failed
            raise
        failures: pd.DataFrame = errors.failure_cases.sort_values(["index", "check_number"])
        return failures[["index", "check"]]
    return pd.DataFrame({"index": np.zeros(0, np.int64), "check": []})


def _failing_rows(check: Check, table: pa.Table, values: pa.Array, failures: pd.DataFrame) -> pa.Table:
    if check.name not in table.column_names or failures.empty:
        return FAILURE_SCHEMA.empty_table()
    places, n_reasons = np.unique(failures["index"].to_numpy(np.int64), return_counts=True)
    found = pc.index_in(table[check.name], value_set=values.take(pa.array(places)))
    is_failed = found.is_valid()
    failed = found.filter(is_failed).to_numpy()
    n_of_row, first = n_reasons[failed], (np.cumsum(n_reasons) - n_reasons)[failed]
    ordinal = np.arange(n_of_row.sum()) - np.repeat(np.cumsum(n_of_row) - n_of_row, n_of_row)
    lines = np.repeat(table[Columns.LINE].filter(is_failed).to_numpy(), n_of_row)
    reasons = failures["check"].to_numpy()[np.repeat(first, n_of_row) + ordinal]
    return pa.table([pa.array(lines), pa.array(reasons, pa.string())], schema=FAILURE_SCHEMA)


def _pandas_type(arrow_type: pa.DataType) -> pd.ArrowDtype | None:
    return pd.ArrowDtype(arrow_type) if pa.types.is_string(arrow_type) else None


def _id_rules(noun: str) -> Callable[[Limits], dict[str, Rule]]:
    return lambda _limits: {
        f"{noun} id is missing": lambda ids: ids.notna(),
        f"{noun} id is blank": lambda ids: ids.str.strip() != "",
        f"{noun} id holds a control character": lambda ids: ~ids.str.contains(_CONTROL_CHARACTERS),
        f"{noun} id is longer than {MAX_ID_CHARACTERS} characters": lambda ids: ids.str.len() <= MAX_ID_CHARACTERS,
        f"{noun} id is a word for a missing one, as NULL": lambda ids: ~ids.isin(MISSING),
        f"{noun} id is a word for a total": lambda ids: ~ids.isin(_TOTALS),
        f"{noun} id is a number that a spreadsheet has rounded": lambda ids: ~ids.str.contains(_ROUNDED_NUMBER),
    }


def _rating_rules(limits: Limits) -> dict[str, Rule]:
    scale = f"{limits.low:g} to {limits.high:g}" if limits.high < inf else f"{limits.low:g} or more"
    return {
        "rating is missing or NaN": lambda ratings: ratings.notna(),
        f"rating outside {scale} (--min-rating, --max-rating)": lambda ratings: (
            ratings.between(limits.low, limits.high) & np.isfinite(ratings)
        ),
    }


def _timestamp_rules(limits: Limits) -> dict[str, Rule]:
    latest, own = limits.latest_timestamp, UNITS_PER_SECOND.get(limits.time_form, 1)
    others = {} if limits.time_form == "iso" else {u: n / own for u, n in UNITS_PER_SECOND.items() if n != own}

    def fits(times: "pd.Series[float]", per_second: float = 1) -> "pd.Series[bool]":
        return (times / per_second).between(EARLIEST_REVIEW, latest)

    def is_own_unit(per_second: float) -> Rule:
        return lambda times: fits(times) | ~fits(times, per_second)

    def is_past(times: "pd.Series[float]") -> "pd.Series[bool]":
        is_past = times <= latest
        for per_second in others.values():
            is_past |= fits(times, per_second)
        return is_past

    return {
        "timestamp is missing or NaN": lambda times: times.notna(),
        "timestamp is not after 1970": lambda times: times > 0,
        **{
            f"timestamp looks like {_UNIT_NAMES[unit]} (use --timestamp-unit {unit})": is_own_unit(per_second)
            for unit, per_second in others.items()
        },
        "timestamp is in the future": is_past,
    }


ID_CHECKS = (Check(Columns.USER_ID, _id_rules("user")), Check(Columns.ITEM_ID, _id_rules("item")))
CHECKS = (
    *ID_CHECKS,
    Check(Columns.RATING, _rating_rules),
    Check(Columns.TIMESTAMP, _timestamp_rules),
)


def right_item_ids(ids: Iterable[str]) -> list[str]:
    """Return those of some item ids that UTF-8 can hold and the check of the item refuses in no review, in order."""
    held = [one for one in ids if one.encode("utf-8", "ignore").decode() == one]
    table = pa.table({Columns.ITEM_ID: pa.array(held, pa.string()), Columns.LINE: range(len(held))})
    refused = set(run_check(ID_CHECKS[1], [table], Limits())[0][Columns.LINE].to_pylist())
    return [one for place, one in enumerate(held) if place not in refused]
