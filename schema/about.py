"""What ``bundle.json`` says of a served model, and the check of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from schema.mapped import AGAIN
from schema.metric import MetricRow

FORMAT = 1
MOST_BYTES = 16 * 1024 * 1024
MOST_DIGITS = 15


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Ancestor(_Strict):
    """An artifact that the model, or something else of the bundle, was made from; a raw file has a name."""

    role: str
    kind: str
    id: str
    name: str | None = None


class About(_Strict):
    """What a model is, where it came from and how good it was found to be.

    Attributes:
        format: Version of the files of a bundle.
        model_id: The published model that the bundle is for.
        model: Name of its kind.
        label: Its name for people.
        parameters: What it was fitted with.
        lineage: The artifacts that went in, each before its own inputs, back to the raw file.
        counts: Counts of the dataset.
        metrics: Rows of ``metrics.json``: the model and the baselines on the test part, with intervals.
        verdicts: The guard and the lead when it was chosen.
        popular: Names of the kinds of model that have a row of ``popular.npy`` each, the default first.
        has_ratings: Whether interactions have ratings.
        has_timestamps: Whether interactions have timestamps.
        is_sample_data: Whether the users are those of the invented shop.
    """

    format: int = FORMAT
    model_id: str
    model: str
    label: str
    parameters: dict[str, JsonValue]
    lineage: list[Ancestor] = []
    counts: dict[str, JsonValue] = {}
    metrics: list[MetricRow] = []
    verdicts: dict[str, dict[str, JsonValue] | None] = {}
    popular: list[str]
    has_ratings: bool
    has_timestamps: bool
    is_sample_data: bool = False


def write_about(path: Path, about: Mapping[str, Any]) -> None:
    """Write what is said of a model, the same text for the same values.

    Raises:
        ValueError: If it is not what `About` says.
    """
    path.write_text(_text(_checked(_text(about), path.name)), "utf-8")


def read_about(path: Path) -> dict[str, Any]:
    """Return what is said of a model.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no JSON, or not what `About` says.
    """
    if (size := path.stat().st_size) > MOST_BYTES:
        raise ValueError(f"{path.name} has {size} bytes; expected at most {MOST_BYTES}. {AGAIN}")
    try:
        text = _text(json.loads(path.read_bytes(), parse_int=_integer))
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, NaN, half a surrogate pair, too deep
        raise ValueError(f"{path.name} is no JSON that can be sent on: {error}. {AGAIN}") from error
    return _checked(text, path.name)


def _checked(text: str, name: str) -> dict[str, Any]:
    try:
        about = About.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(map(str, problem["loc"]))
        raise ValueError(f"{name}: {place}: {problem['msg']}, found {str(problem['input'])[:80]!r}. {AGAIN}") from error
    if about.format != FORMAT:
        raise ValueError(f"{name} is of format {about.format}; expected {FORMAT}. Use the version that made it.")
    return about.model_dump(mode="json")


def _text(value: object) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=2)
    text.encode()
    return f"{text}\n"


def _integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits; expected at most {MOST_DIGITS}")
    return int(digits)
