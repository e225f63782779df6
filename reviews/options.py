"""The options of reading, fetching and inventing reviews."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from schema.options import FrozenModel

TimeForm = Literal["s", "ms", "us", "ns", "iso"]
UNITS_PER_SECOND: dict[str, int] = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


class ReadingOptions(FrozenModel):
    """How a file is read, where that is not to be decided by what it holds."""

    input_columns: str | None = Field(
        None,
        description="Which columns to read, as user=NAME,item=NAME[,rating=NAME][,timestamp=NAME]; "
        "1-based numbers for files without a header. Found by content when not given.",
        json_schema_extra={"flag": "--columns"},
    )
    delimiter: str | None = Field(
        None,
        description="What separates cells: comma, tab, semicolon, pipe, colons (::), blank, or the character itself.",
    )
    quote: str | None = Field(
        None,
        description="What may enclose a cell: the character itself; a backslash and it, '\\\"', where backslashes "
        "escape it within cells; or none where quotes are characters.",
    )
    encoding: str | None = Field(None, description="Encoding of the text, as utf-8, utf-16, latin-1 or windows-1252.")
    header_line: int | None = Field(None, ge=0, description="Line of the header, from 1; 0 where there is none.")
    decimal: Literal["point", "comma"] | None = Field(None, description="What separates a number's fraction.")
    timestamp_unit: TimeForm | None = Field(
        None, description="Unit of the file's timestamps since 1970: s, ms, us or ns; iso for dates (ISO 8601)."
    )


class IngestOptions(ReadingOptions):
    """How a reviews file is read, and which of its rows are rejected."""

    min_rating: float | None = Field(
        None,
        allow_inf_nan=False,
        description="Lowest rating that is taken, in the file's own unit; that of the file's scale when not given.",
    )
    max_rating: float | None = Field(
        None,
        allow_inf_nan=False,
        description="Highest rating that is taken, in the file's own unit; that of the file's scale when not given.",
    )
    max_bad_share: float = Field(0.05, ge=0, le=1, description="Share of bad rows, 0 to 1, above which the run stops.")
    latest_timestamp: int | None = Field(
        None, gt=0, description="Unix seconds after which a timestamp is refused; the moment of the run if unset."
    )
    partition_bytes: int = Field(
        64 * 2**20, ge=1, le=2**30, description="Uncompressed bytes that are read and checked at a time."
    )

    @model_validator(mode="after")
    def _ratings_are_a_range(self) -> Self:
        if self.min_rating is not None and self.max_rating is not None and self.min_rating > self.max_rating:
            raise ValueError(
                f"min_rating {self.min_rating:g} is above max_rating {self.max_rating:g}; "
                f"expected the lowest and the highest rating that the file may hold."
            )
        return self


class DownloadOptions(FrozenModel):
    """Which raw reviews file a run reads."""

    raw_reviews_path: Path = Field(
        Path("data/raw/reviews_electronics.json.gz"),
        description="where the raw reviews file is kept; a file that is already there is not fetched",
    )
    raw_reviews_url: str = Field(
        "https://snap.stanford.edu/data/amazon/productGraph/categoryFiles/reviews_Electronics_5.json.gz",
        description="where the raw reviews file is fetched from",
    )
    raw_reviews_sha256: str | None = Field(
        None,
        pattern="^[0-9a-fA-F]{64}$",
        description="SHA-256 that the raw reviews file must have, 64 hexadecimal digits; unset: any",
    )


class SampleOptions(FrozenModel):
    """How much sample data to make."""

    n_users: int = Field(3000, ge=1, description="people who write reviews")
    n_items: int = Field(1500, ge=1, description="products in the invented shop")
    seed: int = Field(20140723, ge=0, description="seed of every draw; the same seed gives the same bytes")
    duplicate_share: float = Field(0.01, ge=0, le=0.5, description="share of reviews given a second time")
    malformed_share: float = Field(0.002, ge=0, le=0.5, description="share of lines that are broken")


class LookUpOptions(FrozenModel):
    """A look at one item or user instead of all."""

    item_id: str | None = Field(
        None,
        description="Show an item: who has it when, and the items that share most users with it.",
        json_schema_extra={"flag": "--item", "metavar": "ID", "variable": False},
    )
    user_id: str | None = Field(
        None,
        description="Show a user: what they have since when, and the users who have most of it too.",
        json_schema_extra={"flag": "--user", "metavar": "ID", "variable": False},
    )

    @property
    def asked(self) -> dict[str, str]:
        """The ids to look up, by what they are of: item, user."""
        ids = {"item": self.item_id, "user": self.user_id}
        return {kind: one for kind, one in ids.items() if one is not None}
