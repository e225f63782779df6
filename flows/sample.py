"""Write sample data: Amazon-shaped reviews and products of an invented shop, the same bytes for the same seed."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loguru import logger
from pydantic import BaseModel, ConfigDict, Field

from flows.command_line import run
from flows.options import RunOptions
from reviews.options import SampleOptions
from reviews.sample import write_sample


class OutputOptions(BaseModel):
    """Where the sample goes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    output: Path = Field(Path("data/sample"), description="Folder for the two files; what is there is replaced.")


class SampleSettings(RunOptions, OutputOptions, SampleOptions):
    """Everything that decides the sample."""


def write(settings: SampleSettings) -> dict[str, Any]:
    """Write the sample and return what it holds."""
    made = write_sample(settings.output, settings)
    logger.info("Sample data: {:,} reviews in {}, products in {}", made.n_lines, made.reviews, made.products)
    return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(made).items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the sample from the command line."""
    return run(
        write,
        (OutputOptions, SampleOptions),
        description=__doc__ or "",
        arguments=arguments,
        settings_type=SampleSettings,
    )


if __name__ == "__main__":
    sys.exit(main())
