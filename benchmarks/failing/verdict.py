"""What became of a training under an outage, and whether that is as it should be."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from storage import layout

Digests = Mapping[str, str]
STUCK, NOT_TRIED = "still Running", "not tried"


@dataclass(frozen=True)
class Outcome:
    """What one outage did.

    Attributes:
        name: Of the scenario.
        what: What was done, and when.
        state: In which the training ended: a state of Prefect's or an exit code; `STUCK` if it did not end in time.
        expected: The states that are right.
        seconds: From the damage to the end; None if there was no end.
        message: What the training said of itself in the end.
        rerun: The state in which the same training ended afterwards, or the training itself where it was completed.
        lost: What the store lacks, or has other than a store that nobody disturbed.
    """

    name: str
    what: str
    state: str
    expected: tuple[str, ...]
    seconds: float | None
    message: str
    rerun: str
    lost: tuple[str, ...]

    @property
    def is_stuck(self) -> bool:
        """Whether the training or its rerun did not end."""
        return STUCK in (self.state, self.rerun)

    @property
    def is_right(self) -> bool:
        """Whether the training ended as it should, the next one came to its end, and nothing was lost."""
        return self.state in self.expected and self.rerun in ("Completed", "exit code 0") and not self.lost

    def to_row(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """Return JSON values: 1 if all is right, else 0."""
        told = {name: value for name, value in vars(self).items() if name != "name"}
        return {"model": self.name, "parameters": {**told, **about}, "metric": "is_right", "value": int(self.is_right)}


def compare(found: Digests, expected: Digests) -> tuple[str, ...]:
    """Return what a store lost, or has other or more than one that nobody disturbed.

    Args:
        found: SHA-256 of its objects by key.
        expected: Those of the other one. What no manifest names may be there beside: a killed writer's.

    Example:
        >>> compare({"a/x": "1", "b/y": "3"}, {"a/x": "1", "b/y": "2", "c": "4"})
        ('c is missing', 'b/y differs')
    """
    missing = [f"{key} is missing" for key in sorted(expected.keys() - found.keys())]
    other = [f"{key} differs" for key in sorted(expected) if found.get(key, expected[key]) != expected[key]]
    more = [key for key in sorted(found.keys() - expected.keys()) if key.endswith(f"/{layout.MANIFEST}")]
    return (*missing, *other, *(f"{key} is an artifact of its own" for key in more))
