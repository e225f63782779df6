"""The options of a run: what of its log is shown, and as which installation it is known."""

from typing import Literal

from pydantic import Field

from schema.options import FrozenModel

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
LogFormat = Literal["text", "json"]


class RunOptions(FrozenModel):
    """How a run behaves."""

    log_level: LogLevel | None = Field(
        None,
        description="Least level of log lines; without it INFO, of which a command that writes text shows its steps, "
        "its results and where they are.",
    )
    log_format: LogFormat = Field(
        "text", description="How log lines are written: text for people, or json, an object on each line."
    )
    environment: str = Field("development", description="Name of this installation; a tag of Prefect and MLflow runs.")

    @property
    def level(self) -> LogLevel:
        """The least level of what is logged."""
        return self.log_level or "INFO"

    @property
    def is_short(self) -> bool:
        """Whether a command shows only warnings, and what is marked for it."""
        return self.log_level is None and self.log_format == "text"
