"""The compose file and the process stack are one table; what no Docker engine is needed for is checked."""

import re
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from deployments.compose import CREDENTIALS_FILE, compose, write_credentials
from deployments.s3_server import Credentials
from deployments.stack.placement import DATABASE_URL, place_in_containers, place_on_this_machine
from deployments.stack.services import services
from deployments.stack.settings import StackSettings
from schema.errors import InvalidSettings
from serving.options import read_options

ROOT = Path(__file__).parents[2]
SECRET_NAME = re.compile(r"(?i)(secret|password|token|access_key|root_user)")
WRITTEN: dict[str, Any] = yaml.safe_load((ROOT / "deployments" / "compose.yaml").read_text("utf-8"))
CONTAINERS: dict[str, dict[str, Any]] = WRITTEN["services"]
TABLE = {service.name: service for service in services(place_in_containers())}

each_container = pytest.mark.parametrize("name", sorted(CONTAINERS))


def test_file_is_what_the_table_says():
    assert compose() == WRITTEN, "write it again: python -m deployments.compose"


def test_same_services_in_the_same_order_with_the_same_commands_as_the_process_stack(tmp_path):
    settings = StackSettings(_env_file=None, folder=tmp_path, minio_folder=tmp_path / "minio")
    placement = place_on_this_machine(settings)
    on_this_machine = services(placement)
    of_the_place = ("127.0.0.1", str(tmp_path), *vars(placement.sizes).values())
    assert [one.name for one in on_this_machine] == list(CONTAINERS)
    for one in on_this_machine:
        container = CONTAINERS[one.name]
        pairs = zip(one.command, container["command"], strict=True)
        differing = [here for here, there in pairs if here != there]
        assert [word for word in differing if not any(part in word for part in of_the_place)] == []
        assert set(container["depends_on"]) == set(one.depends_on)
        assert [int(published.rsplit(":", 1)[1]) for published in container["ports"]] == list(one.ports.values())
        assert set(one.environment) - set(container["environment"]) <= {"SPARK_LOCAL_IP"}


def test_the_api_takes_its_settings_and_asks_for_keys_unless_one_of_them_says_not_to(monkeypatch):
    settings = CONTAINERS["api"]["environment"]
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    options = read_options()
    assert (options.api_host, options.api_port, options.api_workers) == ("0.0.0.0", 8000, 2)  # noqa: S104
    assert options.api_events_dir == PurePosixPath(settings["API_EVENTS_DIR"])
    monkeypatch.delenv("API_ALLOW_ANONYMOUS")
    with pytest.raises(InvalidSettings, match="there are no keys"):
        read_options()


def test_the_api_sees_no_folder_but_its_own_and_its_image_has_what_its_health_check_runs():
    container = CONTAINERS["api"]
    assert container["volumes"] == ["api:/app/data/stack/api"]
    assert container["image"] != CONTAINERS["mlflow"]["image"]
    assert container["healthcheck"]["test"][:3] == ["CMD", "python", "-c"]
    assert not {"deployments", "flows"} & set(" ".join(container["healthcheck"]["test"]).replace(".", " ").split())


@each_container
def test_containers_run_from_the_dockerfile_as_a_user_without_rights(name):
    container = CONTAINERS[name]
    assert [int(number) > 0 for number in container["user"].split(":")] == [True, True]
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    build = container["build"]
    dockerfile = ROOT / "deployments" / build["context"] / build["dockerfile"]
    assert f" AS {build['target']}\n" in dockerfile.read_text("utf-8")


@each_container
def test_services_are_checked_and_waited_for_and_jobs_end_for_good(name):
    container, service = CONTAINERS[name], TABLE[name]
    assert container["restart"] == ("no" if service.is_job else "unless-stopped")
    urls = container["healthcheck"]["test"][4::2] if not service.is_job else []
    assert urls == [check.url for check in service.checks]
    assert ("healthcheck" in container) != service.is_job
    for needed, condition in container["depends_on"].items():
        is_job = TABLE[needed].is_job
        assert condition == {"condition": "service_completed_successfully" if is_job else "service_healthy"}


@each_container
def test_a_profile_has_all_that_its_services_wait_for(name):
    container = CONTAINERS[name]
    missing = {one: set(container["profiles"]) - set(CONTAINERS[one]["profiles"]) for one in container["depends_on"]}
    assert container["profiles"]
    assert {one: profiles for one, profiles in missing.items() if profiles} == {}


def test_the_profile_of_the_api_has_the_store_beside_it_and_that_of_training_all_but_the_api():
    profiles = {name: set(container["profiles"]) for name, container in CONTAINERS.items()}
    assert [name for name, of in profiles.items() if "serving" in of] == ["minio", "store-bucket", "api"]
    assert [name for name, of in profiles.items() if "training" not in of] == ["api"]


@each_container
def test_no_secret_is_written_in_the_file(name):
    container = CONTAINERS[name]
    assert [key for key in container["environment"] if SECRET_NAME.search(key)] == []
    assert not re.search(r"://[^/\s]*:[^/\s]*@", str(container))
    assert ("env_file" in container) == bool(set(TABLE[name].secrets) - {DATABASE_URL})


@each_container
def test_ports_are_published_on_loopback_only(name):
    variables = {f"STACK_{field.upper()}" for field in StackSettings.model_fields}
    for published in CONTAINERS[name]["ports"]:
        found = re.fullmatch(r"127\.0\.0\.1:\$\{(STACK_[A-Z_]+?)(?:_\d+)?:-(\d+)\}:\2", published)
        assert found
        assert found[1] in variables


def test_volumes_are_declared_and_their_folders_are_the_users_in_the_image():
    used = {mount.split(":")[0] for container in CONTAINERS.values() for mount in container["volumes"]}
    assert used == set(WRITTEN["volumes"])
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    for target in {service.target for service in TABLE.values()}:
        stage = dockerfile.split(f" AS {target}\n")[1].split("\nFROM ")[0]
        made = set(re.findall(r"(?<=\s)/[\w/-]+", stage))
        assert {folder for one in TABLE.values() if one.target == target for folder in one.folders} <= made


def test_credentials_file_is_what_the_containers_name_and_only_its_owner_reads_it(tmp_path):
    named = {path for container in CONTAINERS.values() for path in container.get("env_file", [])}
    assert {(ROOT / "deployments" / path).resolve() for path in named} == {CREDENTIALS_FILE.resolve()}
    path = tmp_path / "data" / "compose.env"
    write_credentials(path, Credentials("somebody", "open-sesame"))
    assert path.stat().st_mode & 0o777 == 0o600
    pairs = dict(line.split("=", 1) for line in path.read_text().splitlines())
    assert pairs["MINIO_ROOT_USER"] == pairs["AWS_ACCESS_KEY_ID"] == "somebody"
    assert set(pairs) == {name for service in TABLE.values() for name in service.secrets}
