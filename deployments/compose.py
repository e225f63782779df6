"""Write the compose file: the services of the process stack, each in a container of its own.

    python -m deployments.compose

writes deployments/compose.yaml from the same table as the process stack, and data/compose.env with new credentials
where there is none. STACK_DASK_WORKERS and STACK_SPARK_WORKERS say how many workers it has. Ports are published on
loopback only; what is in the containers listens on all of theirs.
"""

import sys
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from deployments.minio import choose_credentials
from deployments.s3_server import Credentials
from deployments.stack.names import ACCESS_KEYS, DATABASE_URL, MINIO, MINIO_KEYS
from deployments.stack.service import Service
from deployments.stack.services import services
from deployments.stack.settings import StackSettings
from deployments.stack.sites import Site
from deployments.stack.sizes import Sizes

COMPOSE_FILE = Path(__file__).with_name("compose.yaml")
CREDENTIALS_FILE = Path(__file__).parents[1] / "data" / "compose.env"
IMAGE = "amazon-recommender-stack"
USER = "10001:10001"
DATA = PurePosixPath("/app/data")
HEADER = """\
# The process stack, each service in a container. Made by `python -m deployments.compose` from the table in
# deployments/stack/services.py; change that, not this. docs/operations.md says how to use it.
"""


def main() -> int:
    """Write both files."""
    settings = StackSettings()
    made = compose(settings.dask_workers, settings.spark_workers)
    COMPOSE_FILE.write_text(HEADER + yaml.safe_dump(made, sort_keys=False, width=1000), "utf-8")
    sys.stdout.write(f"wrote {COMPOSE_FILE}\n")
    if not CREDENTIALS_FILE.exists():
        write_credentials(CREDENTIALS_FILE, choose_credentials({}, CREDENTIALS_FILE))
        sys.stdout.write(f"wrote {CREDENTIALS_FILE}, new credentials that only you can read\n")
    return 0


def compose(dask_workers: int = 2, spark_workers: int = 1) -> dict[str, Any]:
    """Return the compose file as a mapping."""
    table = services(container_site(dask_workers, spark_workers))
    return {
        "name": "amazon-recommender",
        "services": {service.name: as_container(service) for service in table},
        "volumes": {"data": None, "minio": None},
    }


def container_site(dask_workers: int = 2, spark_workers: int = 1) -> Site:
    """Return the site on which each service has a container of its own, whatever else the environment says."""
    defaults = {name: field.default for name, field in StackSettings.model_fields.items()}
    numbers = {"dask_workers": dask_workers, "spark_workers": spark_workers}
    settings = StackSettings.model_construct(**{**defaults, **numbers})
    sizes = Sizes(
        dask_memory="${STACK_DASK_WORKER_MEMORY:-2g}",
        spark_memory="${STACK_SPARK_WORKER_MEMORY:-4g}",
        spark_cores="${STACK_SPARK_WORKER_CORES:-2}",
    )
    return Site(
        settings=settings,
        sizes=sizes,
        folder=DATA / "stack",
        minio_folder=PurePosixPath("/minio"),
        work_dir=DATA / "work",
        python="python",
        in_containers=True,
    )


def as_container(service: Service) -> dict[str, Any]:
    """Return one service as compose has it."""
    return {
        "image": IMAGE,
        "build": {"context": "..", "dockerfile": "Dockerfile", "target": "stack"},
        "entrypoint": [],
        "command": list(service.command),
        "user": USER,
        "environment": {**service.environment, **_database(service)},
        **({"env_file": ["../data/compose.env"]} if service.secrets else {}),
        "ports": [_published(setting, port) for setting, port in service.ports.items()],
        "volumes": [f"minio:{folder}" for folder in service.folders] if service.name == MINIO else [f"data:{DATA}"],
        "depends_on": {name: {"condition": _condition(name)} for name in service.depends_on},
        "restart": "no" if service.is_job else "unless-stopped",
        **({} if service.is_job else {"healthcheck": _healthcheck(service)}),
        "security_opt": ["no-new-privileges:true"],
        "cap_drop": ["ALL"],
        "init": True,
    }


def _database(service: Service) -> Mapping[str, str]:
    """Let the user name another database than the file that is the default."""
    default = service.environment.get(DATABASE_URL)
    return {DATABASE_URL: f"${{STACK_PREFECT_DATABASE_URL:-{default}}}"} if default else {}


def _published(setting: str, port: int) -> str:
    return f"127.0.0.1:${{{setting.replace('+', '_')}:-{port}}}:{port}"


def _condition(name: str) -> str:
    jobs = {service.name for service in services(container_site()) if service.is_job}
    return "service_completed_successfully" if name in jobs else "service_healthy"


def _healthcheck(service: Service) -> dict[str, Any]:
    checks = [word for check in service.checks for word in (check.url, check.pattern)]
    return {
        "test": ["CMD", "python", "-m", "deployments.stack.health", *checks],
        "interval": "15s",
        "timeout": "10s",
        "retries": 5,
        "start_period": "120s",
    }


def write_credentials(path: Path, credentials: Credentials) -> None:
    """Write the file that compose gives to the services that need it, which only its owner can read."""
    values = (credentials.access_key, credentials.secret_key)
    pairs = [*zip(MINIO_KEYS, values, strict=True), *zip(ACCESS_KEYS, values, strict=True)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text("".join(f"{name}={value}\n" for name, value in pairs), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
