"""Write sample data: Amazon-shaped reviews and products of an invented shop, the same bytes for the same seed."""

import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from loguru import logger
from pydantic import Field

from flows.cli import Command, run
from reviews.options import SampleOptions
from schema.options import FrozenModel
from storage.files import try_place


class OutputOptions(FrozenModel):
    """Where the sample goes."""

    output: Path = Field(Path("data/sample"), description="Folder for the two files; what is there is replaced.")


def write(output: OutputOptions, sample: SampleOptions) -> dict[str, Any]:
    """Write the sample and return what it holds."""
    from reviews.sample import write_sample

    try_place(output.output, "--output")
    made = write_sample(output.output, sample)
    logger.bind(in_short=True).info(
        "Sample data: {:,} reviews in {}, products in {}", made.n_lines, made.reviews, made.products
    )
    return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(made).items()}


main = partial(run, Command(write, __doc__ or ""))


if __name__ == "__main__":
    sys.exit(main())
