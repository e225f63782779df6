"""The base of the groups of options."""

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """A record that does not change and takes no field that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")
