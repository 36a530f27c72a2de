"""docker-compose.yml: what the Compose specification asks of it, and what we promise: pinned, healthy, not root, no password of ours."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving.errors import ServingRefused
from serving.settings import ServingSettings
from tests.timescale_server import IMAGE

FILE = Path(__file__).resolve().parents[1] / "docker-compose.yml"
LASTING = {"timescaledb", "collectors", "webserver", "daemon", "code", "serving", "disks", "prometheus", "grafana"}
ONCE = {"prepare", "migrate", "reader"}
SECRETS = {"POSTGRES_PASSWORD", "GRAFANA_ADMIN_PASSWORD", "GRAFANA_DB_PASSWORD", "TICKHOUSE_API_TOKENS"}
KNOWN = {
    "build", "command", "depends_on", "entrypoint", "environment", "healthcheck", "image", "ports", "restart", "security_opt", "shm_size",
    "stop_grace_period", "stop_signal", "tmpfs", "user", "volumes",
}  # fmt: skip
"""Of the keys the Compose specification gives a service, those that are used here: another one is looked up before it is added."""
REQUIRED = re.compile(r"\$\{\w+:\?[^}]+\}")


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    return yaml.safe_load(FILE.read_text())["services"]


def test_every_part_of_the_house_is_there(services: dict[str, dict[str, Any]]) -> None:
    assert set(services) == LASTING | ONCE


def test_services_have_only_keys_that_compose_knows(services: dict[str, dict[str, Any]]) -> None:
    assert {name: set(service) - KNOWN for name, service in services.items() if set(service) - KNOWN} == {}
    assert set(yaml.safe_load(FILE.read_text())) == {"x-service", "services", "volumes"}


def test_images_are_pinned_and_nobody_is_root(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert re.fullmatch(r"[a-z0-9/-]+:v?\d[\w.-]+", service["image"]), name
        assert service["user"].split(":")[0] not in {"", "0", "root"}, name
    assert services["timescaledb"]["image"] == IMAGE, "the tests run on the image that is deployed"


def test_the_image_we_build_is_of_a_pinned_base_and_does_not_run_as_root() -> None:
    lines = (FILE.parent / "Dockerfile").read_text().splitlines()
    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    users = [line.split()[1] for line in lines if line.startswith("USER ")]

    assert all(re.fullmatch(r"[a-z]+:\d[\w.-]+", base) for base in bases)
    assert users
    assert users[-1].split(":")[0] not in {"0", "root"}
    assert {line.split()[1] for line in lines if line.startswith("COPY ")} >= {"assets", "collectors", "lake", "orchestration", "sources"}


def test_what_lasts_tells_its_health_and_what_runs_once_is_waited_for(services: dict[str, dict[str, Any]]) -> None:
    for name in LASTING:
        check = services[name]["healthcheck"]
        assert check["test"][0] in {"CMD", "CMD-SHELL"}
        assert set(check) <= {"test", "interval", "timeout", "retries", "start_period"}
    waited = {
        other
        for service in services.values()
        for other, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_completed_successfully"
    }
    assert waited == ONCE


def test_dependencies_name_services_that_can_fulfil_them(services: dict[str, dict[str, Any]]) -> None:
    for service in services.values():
        for other, how in service.get("depends_on", {}).items():
            assert other in (LASTING if how["condition"] == "service_healthy" else ONCE)


def test_collectors_wait_for_no_database(services: dict[str, dict[str, Any]]) -> None:
    def needs(name: str) -> set[str]:
        direct = set(services[name].get("depends_on", {}))
        return direct.union(*(needs(other) for other in direct))

    assert "timescaledb" not in needs("collectors")


def test_volumes_are_declared_and_ports_stay_on_this_machine(services: dict[str, dict[str, Any]]) -> None:
    declared = set(yaml.safe_load(FILE.read_text())["volumes"])
    named = {volume.split(":")[0] for service in services.values() for volume in service.get("volumes", [])}

    assert {each for each in named if not each.startswith((".", "/"))} == declared
    assert all(port.startswith("127.0.0.1:") for service in services.values() for port in service.get("ports", []))


def test_there_is_no_secret_but_the_users(services: dict[str, dict[str, Any]]) -> None:
    given = {
        (name, key): value
        for name, service in services.items()
        for key, value in service.get("environment", {}).items()
        if re.search("PASSWORD|TOKEN|SECRET", key)
    }

    assert all(REQUIRED.fullmatch(value) for value in given.values())
    assert {value[2:].partition(":")[0] for value in given.values()} == SECRETS
    assert not re.search(r"://[^@\s/]+:[^@\s]+@", FILE.read_text()), "a password inside a DSN"


def test_secrets_go_to_nobody_who_does_not_need_them(services: dict[str, dict[str, Any]]) -> None:
    def holders(secret: str) -> set[str]:
        return {name for name, service in services.items() if f"${{{secret}:?" in str(service.get("environment"))}

    assert holders("TICKHOUSE_API_TOKENS") == {"serving", "prometheus"}
    assert holders("GRAFANA_DB_PASSWORD") == {"reader", "grafana"}
    assert holders("GRAFANA_ADMIN_PASSWORD") == {"grafana"}
    assert not holders("POSTGRES_PASSWORD") & {"prometheus", "grafana", "disks"}


def test_what_listens_beyond_its_own_container_asks_for_a_token(services: dict[str, dict[str, Any]]) -> None:
    environment = services["serving"]["environment"]

    assert environment["TICKHOUSE_API_HOST"] == "0.0.0.0"
    with pytest.raises(ServingRefused, match="without a token: set TICKHOUSE_API_TOKENS"):
        ServingSettings(api_host=environment["TICKHOUSE_API_HOST"], api_tokens="").check()
    assert "TICKHOUSE_API_TOKENS" in environment
    assert not services["collectors"].get("ports"), "metrics of collectors ask for no token"


def test_nothing_of_this_machine_is_mounted_to_be_written(services: dict[str, dict[str, Any]]) -> None:
    bound = [volume for service in services.values() for volume in service.get("volumes", []) if volume.startswith((".", "/"))]

    assert bound
    assert all(volume.endswith(":ro") and (FILE.parent / volume.split(":")[0]).exists() for volume in bound)


def compose(secrets: dict[str, str], *, settings: Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key not in SECRETS | {"COMPOSE_FILE"}} | secrets
    asked = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
    command = [*asked, "-f", str(FILE), "--env-file", str(settings), "config"]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)


def test_compose_itself_takes_the_file_and_refuses_it_without_a_secret(tmp_path: Path) -> None:
    settings = tmp_path / "env"
    settings.touch()
    if not shutil.which("docker-compose") and not (
        shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
    ):
        pytest.skip("no Compose on this machine: its rules are checked by the other tests of this file")
    secrets = {name: f"{name}: a/b@c: 'd'" for name in SECRETS}

    without = compose({name: value for name, value in secrets.items() if name != "TICKHOUSE_API_TOKENS"}, settings=settings)
    given = compose(secrets, settings=settings)

    assert without.returncode != 0
    assert "TICKHOUSE_API_TOKENS" in without.stderr
    assert given.returncode == 0, given.stderr
    services = yaml.safe_load(given.stdout)["services"]
    assert services["timescaledb"]["environment"]["POSTGRES_PASSWORD"] == secrets["POSTGRES_PASSWORD"]
    assert services["serving"]["environment"]["TICKHOUSE_API_TOKENS"] == secrets["TICKHOUSE_API_TOKENS"]
    assert services["collectors"]["environment"]["TICKHOUSE_HOME"] == "/lake", "what services share stays beside what is their own"
