"""The configuration and the rules of Prometheus: its own tool takes them, every rule was seen to fire, and what they name is exported."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from collectors import metrics
from collectors.status import CollectorStatus, ConnectionStatus, LogStatus, StreamStatus, write
from lake import layout
from lake.paths import Home
from tests.deploy.conftest import Promtool, program
from tests.deploy.watched import CONFIG, ROOT, RULE_TESTS, RULES, alerts, labels_of, metrics_of, promql, read
from tests.serving.world import serving, until

TOKEN = "a token of twenty-odd characters"
ADDED = {"job", "instance", "le", "alertstate"}
"""Labels that Prometheus itself adds."""
OWN = {"up", "ALERTS"}
"""Series that Prometheus itself writes."""


def test_promtool_takes_the_configuration_and_its_rules(promtool: Promtool, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    shutil.copy(RULES, tmp_path)
    (tmp_path / CONFIG.name).write_text(CONFIG.read_text().replace("/run/tickhouse/token", str(token)))

    done = promtool("check", "config", "--lint-fatal", tmp_path / CONFIG.name)

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SUCCESS: {len(alerts())} rules found" in done.stdout


def test_every_rule_fires_where_it_should_and_keeps_quiet_where_not(promtool: Promtool) -> None:
    done = promtool("test", "rules", RULE_TESTS)

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    cases = [case for test in read(RULE_TESTS)["tests"] for case in test["alert_rule_test"]]
    fired = {case["alertname"] for case in cases if case.get("exp_alerts")}
    named = {rule["alert"] for rule in alerts()}

    assert fired == named
    quiet = {case["alertname"] for case in cases if not case.get("exp_alerts")}
    # Of these, another market or exchange is in the same case, and is not among what it expects.
    assert named - quiet == {"SocketFlapping", "GapRate", "DeadLetters", "DeadLettersMany", "WalAppendSlow"}


def test_every_rule_says_how_grave_it_is_and_what_to_do() -> None:
    for rule in alerts():
        assert rule["labels"]["severity"] in {"warning", "critical"}, rule["alert"]
        assert rule["for"], rule["alert"]
        assert set(rule["annotations"]) == {"summary", "description"}, rule["alert"]


def test_expressions_of_the_dashboards_are_promql(promtool: Promtool, tmp_path: Path) -> None:
    asked = [text.replace("$__rate_interval", "1m").replace("$collector", ".*").replace("$exchange", ".*") for text in promql().values()]
    rules = [{"record": f"asked:number{number}", "expr": text} for number, text in enumerate(asked)]
    path = tmp_path / "asked.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}))

    done = promtool("check", "rules", path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert not [text for text in asked if "$" in text]


def test_prometheus_asks_services_of_the_compose_file_where_they_listen() -> None:
    services = read(ROOT / "docker-compose.yml")["services"]
    asked = {job["job_name"]: job["static_configs"][0]["targets"] for job in read(CONFIG)["scrape_configs"]}

    assert asked.pop("prometheus") == ["127.0.0.1:9090"]
    assert asked == {
        "serving": [f"serving:{services['serving']['environment']['TICKHOUSE_API_PORT']}"],
        "collectors": [f"collectors:{services['collectors']['environment']['TICKHOUSE_COLLECTOR_METRICS_PORT']}"],
        "disks": ["disks:9100"],
    }
    for name in ("serving", "collectors"):
        assert "0.0.0.0" in services[name]["environment"].values(), name
    assert any(volume.split(":")[:2] == ["lake", "/lake"] for volume in services["disks"]["volumes"])
    assert services["prometheus"]["tmpfs"][0].split(":")[0] == str(Path(_token_file()).parent)
    assert f"> {_token_file()}" in services["prometheus"]["command"][0]


def test_the_token_that_prometheus_reads_is_the_first_one(tmp_path: Path) -> None:
    service = read(ROOT / "docker-compose.yml")["services"]["prometheus"]
    script = service["command"][0].replace("$$", "$").replace(_token_file(), str(tmp_path / "token")).replace("/bin/prometheus", "echo")
    words = [*service["entrypoint"], script]

    subprocess.run(words, env={"TICKHOUSE_API_TOKENS": "first one, second"}, check=True, capture_output=True, timeout=60)

    assert (tmp_path / "token").read_text() == "first one"
    assert (tmp_path / "token").stat().st_mode & 0o077 == 0


def _token_file() -> str:
    return next(job["authorization"]["credentials_file"] for job in read(CONFIG)["scrape_configs"] if "authorization" in job)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with one collector, one socket and one stream."""
    made = Home(tmp_path_factory.mktemp("watched"))
    layout.ensure(made)
    now = time.time_ns() // 1000
    socket = {"name": "k-0", "exchange": "kraken", "market": "spot", "state": "connected", "connected_since": now, "last_frame": now}
    stream = {"exchange": "kraken", "symbol": "BTC/USD", "channel": "trades", "state": "live", "rows_per_second": 1.0, "last_event": now}
    write(
        made,
        CollectorStatus(
            collector="main",
            pid=1,
            time=now,
            state="running",
            connections=[ConnectionStatus(**socket, frames=1, reconnects=1, dead_letters=1)],
            streams=[StreamStatus(**stream, rows=1, gaps=1, dead_letters=1)],
            wal=LogStatus(lag_seconds=1.0, bytes=1),
        ),
    )
    return made


@pytest.fixture(scope="module")
def of_server(home: Home) -> str:
    """What the server says, once it has answered something and followed something."""
    with serving(home, api_tokens=TOKEN) as served:
        assert served.get("/metrics").status_code == 401
        served.http.headers["Authorization"] = f"Bearer {TOKEN}"
        served.app.state.meters.followed("trades", 1, lag_us=1000)
        assert served.get("/v1/trades").status_code == 200
        until(lambda: 'route="/v1/trades"' in served.get("/metrics").text)
        return served.get("/metrics").text


@pytest.fixture(scope="module")
def of_collector(home: Home) -> str:
    with metrics.served(home, "main", host="127.0.0.1", port=0) as port:
        return httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text


@pytest.fixture(scope="module")
def of_disks() -> Iterator[str]:
    """What node_exporter says, with the words of the compose file."""
    words = read(ROOT / "docker-compose.yml")["services"]["disks"]["command"]
    with subprocess.Popen(
        [program("prometheus-node-exporter"), *words, "--web.listen-address=127.0.0.1:0"], stderr=subprocess.PIPE, text=True
    ) as running:
        try:
            assert running.stderr is not None
            address = next(found[1] for line in running.stderr if (found := re.search(r"address=(127\.0\.0\.1:\d+)", line)))
            yield httpx.get(f"http://{address}/metrics", timeout=60).text
        finally:
            running.kill()


def exported(text: str) -> dict[str, set[str]]:
    """Labels by the name of the series."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_what_rules_and_dashboards_name_is_exported(of_server: str, of_collector: str, of_disks: str) -> None:
    there = exported(of_server) | exported(of_disks)

    for where, text in promql().items():
        assert metrics_of(text), where
        assert metrics_of(text) - set(there) <= OWN, where
        known = set().union(*(there.get(name, set()) for name in metrics_of(text))) | ADDED
        assert labels_of(text) <= known, where
    of_both = {name: labels for name, labels in exported(of_server).items() if "collector" in labels}
    assert {name: exported(of_collector).get(name) for name in of_both} == of_both


def test_nothing_that_is_exported_is_left_unwatched(of_server: str) -> None:
    named = set().union(*(metrics_of(text) for text in promql().values()))
    # Of a histogram and of a counter, one of their series is enough.
    left = {name for name in exported(of_server) if not name.endswith(("_created", "_sum", "_count", "_bucket"))} - named

    assert left == set()
