"""`tickhouse up`: collectors and Dagster rise together on a real market, and fall together on Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from orchestration.simulation import live_market, write_config

pytestmark = pytest.mark.lengthy(waits=True)

ROOT = Path(__file__).resolve().parents[2]
UP = "from orchestration.cli import main; main()"


def wait_for(what: Callable[[], object], *, seconds: float = 90.0) -> object:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        found = what()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"{what.__name__} did not come true within {seconds:g} s")


def test_up_collects_serves_dagster_and_stops_everything_on_ctrl_c(tmp_path: Path) -> None:
    home, config, output = tmp_path / "home", tmp_path / "tickhouse.toml", tmp_path / "output"
    with live_market(arguments=["--rate", "200"]) as market, output.open("wb") as said:
        write_config(config, market, {"kraken": ["BTC/USD"], "binance": ["BTC/USDT"]})
        command = [sys.executable, "-c", UP, "up", "--home", str(home), "--config", str(config), "--port", "0"]
        house = subprocess.Popen(
            command, cwd=ROOT, stdout=said, stderr=said, env={**os.environ, "TICKHOUSE_ROLL_SECONDS": "2", "TICKHOUSE_API_PORT": "0"}
        )
        try:

            def address() -> str:
                lines = output.read_text().splitlines()
                return next((line.removeprefix("Dagster UI: ") for line in lines if line.startswith("Dagster UI: ")), "")

            url = str(wait_for(address))
            with urllib.request.urlopen(f"{url}/server_info", timeout=10) as answer:
                assert "dagster_version" in json.loads(answer.read())

            page = next(line.removeprefix("Dashboard:  ") for line in output.read_text().splitlines() if line.startswith("Dashboard:  "))

            def dashboard() -> bool:
                try:
                    with urllib.request.urlopen(page, timeout=10) as answer:
                        return b"Tickhouse" in answer.read()
                except OSError:
                    return False

            wait_for(dashboard)

            def parts() -> list[Path]:
                return [path for path in home.glob("lake/trades/date=20*/*/part-*.parquet") if "sentinel" not in path.name]

            wait_for(parts)

            def programs() -> list[psutil.Process]:
                children = psutil.Process(house.pid).children(recursive=True)
                names = " ".join(" ".join(child.cmdline()) for child in children if child.is_running())
                return (
                    children
                    if all(word in names for word in ("collectors", "dagster_webserver", "dagster._daemon", "serve --home"))
                    else []
                )

            children = wait_for(programs)
            assert isinstance(children, list)
            house.send_signal(signal.SIGINT)

            assert house.wait(timeout=60) == 0, output.read_text()
            _, alive = psutil.wait_procs(children, timeout=10)
            assert alive == []
        finally:
            if house.poll() is None:
                for child in psutil.Process(house.pid).children(recursive=True):
                    child.kill()
                house.kill()
                house.wait()
    assert output.read_text().rstrip().endswith("Stopped.")


@pytest.mark.parametrize(
    ("config", "named"), [('[exchanges.krakken]\nsymbols = ["BTC/USD"]\n', "krakken"), ("exchanges = 3\n", "exchanges")]
)
def test_up_refuses_a_wrong_config_before_anything_starts(tmp_path: Path, config: str, named: str) -> None:
    path = tmp_path / "tickhouse.toml"
    path.write_text(config)
    command = [sys.executable, "-c", UP, "up", "--home", str(tmp_path / "home"), "--config", str(path), "--port", "0"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2
    assert named in done.stderr
    assert not (tmp_path / "home" / "logs").exists()
