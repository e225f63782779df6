"""Write the compose file: the services of the process stack, each in a container of its own.

    python -m deployments.compose

writes deployments/compose.yaml from the same table as the process stack, and data/compose.env with new credentials
where there is none. STACK_DASK_WORKERS and STACK_SPARK_WORKERS say how many workers it has. The profiles ``training``
and ``serving`` each have the store and what is needed beside it. Ports are published on loopback only; what is in the
containers listens on all of theirs.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

from deployments.s3_server import Credentials, random_credentials
from deployments.stack.placement import (
    API,
    CONTAINER_DATA,
    DATABASE_URL,
    MINIO,
    credential_variables,
    place_in_containers,
)
from deployments.stack.services import Service, services
from deployments.stack.settings import StackSettings
from storage.files import write_whole

COMPOSE_FILE = Path(__file__).with_name("compose.yaml")
CREDENTIALS_FILE = Path(__file__).parents[1] / "data" / "compose.env"
IMAGE = "amazon-recommender"
USER = "10001:10001"
OWN_VOLUMES = (MINIO, API)  # services that see their own folder only
ASK = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)"
HEADER = """\
# The process stack, each service in a container. Made by `python -m deployments.compose` from the table in
# deployments/stack/services.py; change that, not this. docs/operations.md says how to use it. It has two profiles,
# `training` and `serving`, of which one has to be named.
"""


def main() -> int:
    """Write both files."""
    settings = StackSettings()
    made = compose(settings.dask_workers, settings.spark_workers)
    COMPOSE_FILE.write_text(HEADER + yaml.safe_dump(made, sort_keys=False, width=1000), "utf-8")
    sys.stdout.write(f"wrote {COMPOSE_FILE}\n")
    if not CREDENTIALS_FILE.exists():
        write_credentials(CREDENTIALS_FILE, random_credentials())
        sys.stdout.write(f"wrote {CREDENTIALS_FILE}, new credentials that only you can read\n")
    return 0


def compose(dask_workers: int = 2, spark_workers: int = 1) -> dict[str, Any]:
    """Return the compose file as a mapping."""
    table = services(place_in_containers(dask_workers, spark_workers))
    jobs = {service.name for service in table if service.is_job}
    return {
        "name": "amazon-recommender",
        "services": {service.name: _container(service, jobs) for service in table},
        "volumes": {"data": None, **dict.fromkeys(OWN_VOLUMES)},
    }


def _container(service: Service, jobs: set[str]) -> dict[str, Any]:
    database = service.environment.get(DATABASE_URL)  # the user may name another one than this file
    replaced = {DATABASE_URL: f"${{STACK_PREFECT_DATABASE_URL:-{database}}}"} if database else {}
    has_own_volume = service.name in OWN_VOLUMES
    return {
        "profiles": list(service.profiles),
        "image": f"{IMAGE}-{service.target}",
        "build": {"context": "..", "dockerfile": "Dockerfile", "target": service.target},
        "entrypoint": [],
        "command": list(service.command),
        "user": USER,
        "environment": {**service.environment, **replaced},
        **({"env_file": ["../data/compose.env"]} if service.secrets else {}),
        "ports": [
            f"127.0.0.1:${{{setting.replace('+', '_')}:-{port}}}:{port}" for setting, port in service.ports.items()
        ],
        "volumes": [f"{service.name}:{folder}" for folder in service.folders]
        if has_own_volume
        else [f"data:{CONTAINER_DATA}"],
        "depends_on": {
            name: {"condition": "service_completed_successfully" if name in jobs else "service_healthy"}
            for name in service.depends_on
        },
        "restart": "no" if service.is_job else "unless-stopped",
        **({} if service.is_job else {"healthcheck": _healthcheck(service)}),
        "security_opt": ["no-new-privileges:true"],
        "cap_drop": ["ALL"],
        "init": True,
    }


def _healthcheck(service: Service) -> dict[str, Any]:
    command = ["-m", "deployments.stack.health"] if service.target == "stack" else ["-c", ASK]
    checks = [word for check in service.checks for word in (check.url, check.pattern)]
    return {
        "test": ["CMD", "python", *command, *checks],
        "interval": "15s",
        "timeout": "10s",
        "retries": 5,
        "start_period": "120s",
    }


def write_credentials(path: Path, credentials: Credentials) -> None:
    """Write the file that compose gives to the services that need it, which only its owner can read."""
    lines = (f"{name}={value}\n" for name, value in credential_variables(credentials).items())
    write_whole(path, "".join(lines), mode=0o600)


if __name__ == "__main__":
    sys.exit(main())
