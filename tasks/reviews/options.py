"""What a user may say about the reading of a reviews file."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

TimestampUnit = Literal["s", "ms", "us"]
UNITS_PER_SECOND: dict[TimestampUnit, int] = {"s": 1, "ms": 1_000, "us": 1_000_000}


class IngestOptions(BaseModel):
    """How a reviews file is read, and which of its rows are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_columns: str | None = Field(
        None,
        description="Which columns to read, as user=NAME,item=NAME[,rating=NAME][,timestamp=NAME]; "
        "1-based numbers for files without a header. Found by content when not given.",
        json_schema_extra={"flag": "--columns"},
    )
    min_rating: float = Field(
        1.0, allow_inf_nan=False, description="Lowest rating that is taken, in the file's own unit (stars)."
    )
    max_rating: float = Field(
        5.0, allow_inf_nan=False, description="Highest rating that is taken, in the file's own unit (stars)."
    )
    max_bad_share: float = Field(0.05, ge=0, le=1, description="Share of bad rows, 0 to 1, above which the run stops.")
    timestamp_unit: TimestampUnit = Field("s", description="Unit of the file's timestamps since 1970: s, ms or us.")
    latest_timestamp: int | None = Field(
        None,
        gt=0,
        description="Unix seconds after which a timestamp is refused; the moment of the run if unset.",
    )
    partition_bytes: int = Field(
        64 * 2**20, ge=1, le=2**30, description="Uncompressed bytes that are read and checked at a time."
    )

    @model_validator(mode="after")
    def _ratings_are_a_range(self) -> Self:
        if self.min_rating > self.max_rating:
            raise ValueError(
                f"min_rating {self.min_rating:g} is above max_rating {self.max_rating:g}; "
                f"expected the lowest and the highest rating that the file may hold."
            )
        return self

    def as_of(self, now: int) -> Self:
        """Return the options with the latest timestamp fixed: the one set, else this moment in Unix seconds."""
        return self.model_copy(update={"latest_timestamp": self.latest_timestamp or now})
