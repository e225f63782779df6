"""From the settings to the services of this machine and their secrets."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from deployments.minio import choose_credentials
from deployments.s3_server import Credentials
from deployments.stack.names import ACCESS_KEYS, DATABASE_URL, MINIO_KEYS
from deployments.stack.service import Service
from deployments.stack.services import services
from deployments.stack.settings import StackSettings
from deployments.stack.sites import Site
from deployments.stack.sizes import choose_sizes
from flows.child_server import free_port
from schema.errors import InvalidInput


@dataclass(frozen=True)
class Plan:
    """What is to run on this machine.

    Attributes:
        site: Where it runs.
        services: In the order of starting.
        credentials: Of MinIO.
    """

    site: Site
    services: tuple[Service, ...]
    credentials: Credentials

    def secrets(self) -> dict[str, str]:
        """Return the values of all variables that hold secrets."""
        values = (self.credentials.access_key, self.credentials.secret_key)
        database = {DATABASE_URL: self.site.database_url} if self.site.database_url else {}
        return dict(zip(ACCESS_KEYS, values, strict=True)) | dict(zip(MINIO_KEYS, values, strict=True)) | database

    def reach(self) -> dict[str, str]:
        """Return the variables by which flows find and use the stack; two of them are secret."""
        return self.site.reach() | dict.fromkeys(ACCESS_KEYS, "") | {n: self.secrets()[n] for n in ACCESS_KEYS}


def make_plan(settings: StackSettings) -> Plan:
    """Return what is to run on this machine.

    Raises:
        InvalidInput: If MinIO's credentials are not complete.
    """
    url = settings.prefect_database_url
    site = Site(
        settings=settings,
        sizes=choose_sizes(settings),
        folder=settings.folder.resolve(),
        minio_folder=settings.minio_folder.resolve(),
        work_dir=settings.folder.resolve() / "work",
        python=sys.executable,
        database_url=url.get_secret_value() if url else None,
    )
    return Plan(site, services(site), choose_credentials(os.environ, credentials_file(settings)))


def credentials_file(settings: StackSettings) -> Path:
    """Return where MinIO's credentials are kept, as ``make minio`` keeps them too."""
    folder = settings.minio_folder.resolve()
    return folder.parent / f"{folder.name}.env"


def require_free_ports(planned: tuple[Service, ...], host: str) -> None:
    """See that nothing listens on the ports of services at the address that they will listen on.

    Raises:
        InvalidInput: If something does; with the setting to change.
    """
    for service in planned:
        for setting, port in service.ports.items():
            try:
                free_port(port, host)
            except InvalidInput as error:
                name = setting.partition("+")[0]
                raise InvalidInput(
                    f"{service.name} cannot listen on port {port}, {setting} ({error.__cause__}). "
                    f"Stop what listens there, or set {name} to another port."
                ) from error
