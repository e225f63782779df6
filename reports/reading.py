"""How a file was read, for a reader: what was understood, what was put aside, and what is gone as a whole."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from reports.display import format_count, format_share
from reports.tables import TextTable, number
from schema.dataset import QuarantinedRow, QuarantineReason
from schema.understood import Loss, Reading, Understood

UNDERSTOOD = "How the file was understood"
FIRST_ROWS = "The first rows as they were understood"
REASONS = "Why rows were put aside"
PUT_ASIDE = "The first rows that were put aside"
_MOST_CHARACTERS = 200


@dataclass(frozen=True)
class FileSummary:
    """How a file was read, and what of it was put aside.

    Attributes:
        n_rows: Rows read, those that passed and those that did not.
        reading: What was decided on it, and what is gone as a whole.
        reasons: Why rows were put aside, the commonest first; empty if none was.
        put_aside: The first of them.
    """

    n_rows: int = 0
    reading: Reading = field(default_factory=Reading)
    reasons: Sequence[QuarantineReason] = ()
    put_aside: Sequence[QuarantinedRow] = ()

    def warnings(self) -> list[str]:
        """Return what is only probable, and what is gone as a whole, in sentences."""
        return [*self.reading.understood.warnings, *map(say_loss, self.reading.losses)]

    def tables(self) -> dict[str, TextTable]:
        """Return those tables that have rows, by what they show."""
        tables = {
            UNDERSTOOD: tabulate_understood(self.reading.understood),
            FIRST_ROWS: tabulate_first_rows(self.reading.understood),
            REASONS: tabulate_reasons(self.reasons, self.n_rows),
            PUT_ASIDE: tabulate_quarantine(self.put_aside),
        }
        return {name: table for name, table in tables.items() if table.rows}


def tabulate_understood(understood: Understood) -> TextTable:
    """Return a row for each decision, with its evidence and the flag that sets it; those that were set stand out."""
    rows = [[one.name, one.value, "it was set" if one.is_set else one.evidence, one.flag] for one in understood.parts]
    strong = {place for place, one in enumerate(understood.parts) if one.is_set}
    return TextTable(["", "understood as", "because", "set by"], rows, strong, n_left=4, limit=_MOST_CHARACTERS)


def tabulate_first_rows(understood: Understood) -> TextTable:
    """Return the first rows as they were understood."""
    roles = list(understood.first_rows[0]) if understood.first_rows else []
    rows = [[row.get(role, "") for role in roles] for row in understood.first_rows]
    return TextTable(roles, rows, n_left=len(roles))


def tabulate_reasons(reasons: Sequence[QuarantineReason], n_rows: int) -> TextTable:
    """Return a row for each reason why rows were put aside, with an example.

    Args:
        reasons: The reasons, commonest first.
        n_rows: Rows read, those that passed and those that did not.
    """
    rows = [
        [
            one.reason,
            format_count(one.count),
            format_share(one.count / max(n_rows, 1)),
            str(one.example_line),
            one.example_text,
        ]
        for one in reasons
    ]
    return TextTable(["reason", "rows", "share", "example line", "example"], rows)


def tabulate_quarantine(rows: Sequence[QuarantinedRow]) -> TextTable:
    """Return rows that were put aside."""
    cells = [[str(row.line), row.reason, row.text] for row in rows]
    return TextTable(["line", "reason", "text"], cells, n_left=3, limit=_MOST_CHARACTERS)


def say_loss(loss: Loss) -> str:
    """Return what is gone as a whole, and the commonest reason.

    Example:
        >>> say_loss(Loss("rating value", 1, ("0.5",), 12, "rating outside 1 to 5 (--min-rating, --max-rating)"))
        '1 rating value is gone as a whole: 0.5 (12 rows): rating outside 1 to 5 (--min-rating, --max-rating)'
    """
    verb = "is" if loss.n_gone == 1 else "are"
    more = ", …" if loss.n_gone > len(loss.examples) else ""
    shown = f"{', '.join(loss.examples)}{more} ({number(loss.n_rows, 'row')})"
    return f"{number(loss.n_gone, loss.kind)} {verb} gone as a whole: {shown}: {loss.reason}"
