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

from tests.timescale_server import IMAGE

FILE = Path(__file__).resolve().parents[1] / "docker-compose.yml"
LASTING = {"timescaledb", "collectors", "webserver", "daemon", "code"}
ONCE = {"prepare", "migrate"}
KNOWN = {
    "build", "command", "depends_on", "entrypoint", "environment", "healthcheck", "image", "ports", "restart", "security_opt", "shm_size",
    "stop_grace_period", "stop_signal", "user", "volumes",
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
        assert re.fullmatch(r"[a-z0-9/]+:v?\d[\w.-]+", service["image"]), name
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


def test_there_is_no_password_but_the_users(services: dict[str, dict[str, Any]]) -> None:
    given = [value for service in services.values() for key, value in service["environment"].items() if "PASSWORD" in key]

    assert len(given) == len(services)
    assert all(REQUIRED.fullmatch(value) for value in given)
    assert not re.search(r"://[^@\s/]+:[^@\s]+@", FILE.read_text()), "a password inside a DSN"


def compose(password: str | None, *, settings: Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key not in {"POSTGRES_PASSWORD", "COMPOSE_FILE"}}
    if password is not None:
        environment["POSTGRES_PASSWORD"] = password
    asked = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
    command = [*asked, "-f", str(FILE), "--env-file", str(settings), "config"]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)


def test_compose_itself_takes_the_file_and_refuses_it_without_a_password(tmp_path: Path) -> None:
    settings = tmp_path / "env"
    settings.touch()
    if not shutil.which("docker-compose") and not (
        shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
    ):
        pytest.skip("no Compose on this machine: its rules are checked by the other tests of this file")

    without, given = compose(None, settings=settings), compose("a/b@c: 'd'", settings=settings)

    assert without.returncode != 0
    assert "POSTGRES_PASSWORD" in without.stderr
    assert given.returncode == 0, given.stderr
    assert yaml.safe_load(given.stdout)["services"]["timescaledb"]["environment"]["POSTGRES_PASSWORD"] == "a/b@c: 'd'"
