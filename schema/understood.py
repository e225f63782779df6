"""How a file was understood before a row of it was read, and what of it was lost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Part:
    """One decision on a file.

    Attributes:
        name: What was decided, as "delimiter".
        value: The decision in words, as "semicolon".
        evidence: Why, in words, as "1,000 of 1,000 rows have 4 cells; by comma 0".
        flag: The flag that sets it, as "--delimiter"; empty where nothing does.
        is_set: Whether the flag was given, so that nothing was decided.
        doubt: What is only probable about it, a sentence for a warning; empty where nothing is.
    """

    name: str
    value: str
    evidence: str
    flag: str = ""
    is_set: bool = False
    doubt: str = ""


@dataclass(frozen=True)
class Understood:
    """All that was decided on a file.

    Attributes:
        parts: The decisions, from the bytes to the meaning of columns.
        warnings: What is only probable, or was left out, a sentence each.
        first_rows: The first rows as they were understood, role -> text.
    """

    parts: tuple[Part, ...] = ()
    warnings: tuple[str, ...] = ()
    first_rows: Sequence[Mapping[str, str]] = field(default_factory=tuple)


@dataclass(frozen=True)
class Loss:
    """What is gone as a whole since all its rows were put aside.

    Attributes:
        kind: "rating value", "item", "user" or "period".
        n_gone: How many of that kind are gone.
        examples: Some of them, those with most rows first.
        n_rows: Rows of theirs that were put aside.
        reason: The commonest reason among these rows.
    """

    kind: str
    n_gone: int
    examples: tuple[str, ...]
    n_rows: int
    reason: str


@dataclass(frozen=True)
class Reading:
    """How a file was read, as it is kept beside its reviews.

    Attributes:
        understood: What was decided on it.
        losses: What is gone as a whole.
    """

    understood: Understood = field(default_factory=Understood)
    losses: tuple[Loss, ...] = ()
