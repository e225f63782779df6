"""Settings from the environment and ``.env``, less what only the command line says."""

from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
)

from flows.flags import is_variable


class VariableSettings(BaseSettings):
    """Settings whose fields with ``variable: False`` no variable fills: what is asked for now is no standing order."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return where values come from, the first one first."""
        return init_settings, _Environment(settings_cls), _EnvFile(settings_cls)


class _Environment(EnvSettingsSource):
    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the value of a field, None for one that no variable fills."""
        return super().get_field_value(field, field_name) if is_variable(field) else (None, field_name, False)


class _EnvFile(DotEnvSettingsSource):
    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the value of a field, None for one that no variable fills."""
        return super().get_field_value(field, field_name) if is_variable(field) else (None, field_name, False)

    def __call__(self) -> dict[str, Any]:
        """Return all values; a line for a field that no variable fills is an unknown name, like any other."""
        fields = self.settings_cls.model_fields
        lines = {name: value for name, value in self.env_vars.items() if name in fields}
        unknown = {name.upper(): value for name, value in lines.items() if value and not is_variable(fields[name])}
        return super().__call__() | unknown
