"""Rules beside the rows: a collector process whose alerts are in its log, once, with the figures of the rows that made them fire."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from math import isclose
from pathlib import Path

import pytest

from collectors.alerting import Alerting
from collectors.rows import EventBuffer
from collectors.watch import Watch
from lake import layout
from lake.alerts.firing import Firing
from lake.alerts.rules import parse_rules
from lake.alerts.settings import AlertSettings
from lake.paths import Home
from tests.collectors.simulating import ROOT, Running, Simulator, until

NOW = 1_795_219_200_000_000
SECOND = 1_000_000

RULES = """
[rules.burst]
kind = "liquidation_volume"
thresholds = { LOW = 1.0 }
cooldown_seconds = 86400

[rules.open_interest_never]
kind = "price_move"
thresholds = { CRITICAL = 1e9 }
"""


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def rules(text: str):
    return parse_rules(text, AlertSettings(_env_file=None))


def test_a_burst_is_an_alert_with_the_figures_of_its_rows_and_is_not_repeated_after_a_kill(processes: ExitStack, tmp_path: Path):
    simulated = Simulator(tmp_path, rate=200, exchanges="binance", arguments=["--liquidations-per-minute", "600"])
    processes.callback(simulated.kill)
    (tmp_path / "alerts.toml").write_text(RULES)
    settings = {"TICKHOUSE_ALERTS": str(tmp_path / "alerts.toml")}
    symbols = {"binance": ["BTC/USDT:USDT"]}

    def start() -> Running:
        running = Running(tmp_path, simulated.endpoints, symbols=symbols, settings=settings)
        processes.callback(running.kill)
        return running

    first = start()
    until(lambda: first.sql("from alerts"), what="the first alert")
    until(lambda: first.sql("select 1 from liquidations having count(*) > 5"), what="more forced orders")
    first.kill()
    second = start()
    before = first.sql("select count(*) as rows from liquidations")[0]["rows"]
    until(lambda: second.sql(f"select 1 from liquidations having count(*) > {before + 5}"), what="forced orders of the next life")
    assert second.stop() == 0

    (alert,) = second.sql("select *, epoch_us(timestamp) as at from alerts")
    assert (alert["rule"], alert["kind"], alert["severity"], alert["unit"]) == ("burst", "liquidation_volume", "LOW", "USD")
    received = json.loads(alert["details"])["received"]
    (rows,) = second.sql(
        f"select sum(value_usd) as total, max(value_usd) as largest, count(*) as events from liquidations "
        f"where epoch_us(timestamp) > {alert['at']} - 300000000 and epoch_us(timestamp) <= {alert['at']} "
        f"and epoch_us(local_timestamp) <= {received}"
    )
    (forced,) = second.sql("from liquidation_alerts")
    assert isclose(alert["value"], rows["total"], rel_tol=1e-12)
    assert (forced["alert_id"], forced["total_volume_usd"]) == (alert["alert_id"], alert["value"])
    assert (forced["largest_trade_usd"], forced["event_count"]) == (rows["largest"], rows["events"])


def test_a_wrong_file_of_rules_stops_the_start_with_a_sentence(tmp_path: Path):
    (tmp_path / "alerts.toml").write_text('[rules.mine]\nkind = "price_moves"\n')
    config = ROOT / "tickhouse.toml"
    command = [sys.executable, "-m", "collectors", "--home", str(tmp_path / "home"), "--config", str(config)]

    done = subprocess.run(
        command, env={"TICKHOUSE_ALERTS": str(tmp_path / "alerts.toml")}, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 2
    assert "rule 'mine'" in done.stderr
    assert "kind is 'price_moves' (did you mean 'price_move'?)" in done.stderr


def test_without_a_rule_for_what_is_landed_nothing_is_watched(tmp_path: Path):
    home = Home(tmp_path)
    layout.ensure(home)

    assert Alerting.warmed(home, rules('[rules.full]\nkind = "disk"\n'), exchanges=["binance"], now=NOW) is None


def test_what_is_buffered_reaches_the_rule_that_asks_for_it():
    text = """
        [rules.move]
        kind = "price_move"
        thresholds = { LOW = 1.0 }
        [rules.burst]
        kind = "liquidation_volume"
        [rules.spread]
        kind = "spread"
        thresholds = { LOW = 50.0 }
        [rules.funding]
        kind = "funding"
        thresholds = { LOW = 0.001 }
        [rules.gaps]
        kind = "gap_rate"
        thresholds = { LOW = 1.0 }
        [rules.letters]
        kind = "dead_letters"
        thresholds = { LOW = 1.0 }
    """
    alerting = Alerting(rules(text), Firing(), since=NOW)
    events = EventBuffer()
    pen = events.writer("binance", "one")
    key = pen.key("BTC/USDT:USDT")
    for number, price in enumerate((100.0, 102.0)):
        pen.trade((key, NOW + number, NOW + number, number, number, False, price, 1.0, 1, False, False))
    pen.liquidation(
        "BTC/USDT:USDT",
        NOW,
        local=NOW,
        side="sell",
        price=100.0,
        amount=2000.0,
        value_usd=200_000.0,
        liquidation_id="a",
        sampled=None,
    )
    pen.book_snapshot((key, None, NOW, 1, None, ([99.0], [1.0]), ([101.0], [1.0])))
    pen.derivative("BTC/USDT:USDT", NOW, local=NOW, funding_rate=-0.002)
    gap = ("BTC/USDT:USDT", NOW, NOW, 1, "trades", "disconnect", None, None, NOW, None, None, None)
    pen.gap(gap)
    pen.gap((*gap[:9], NOW, NOW, "rest"))
    pen.dead_letter(b"?", "no JSON", local=NOW)

    alerting.observe(events)
    landed = alerting.take()

    assert sorted(zip(landed["alerts"]["rule"].to_pylist(), landed["alerts"]["value"].to_pylist(), strict=True)) == [
        ("burst", 200_000.0),
        ("funding", 0.002),
        ("gaps", 1.0),
        ("letters", 1.0),
        ("move", 2.0),
        ("spread", 200.0),
    ]
    assert landed["liquidation_alerts"]["total_volume_usd"].to_pylist() == [200_000.0]
    assert alerting.take() == {}


def test_a_trade_whose_clock_is_suspect_moves_no_window():
    alerting = Alerting(rules('[rules.move]\nkind = "price_move"\nthresholds = { LOW = 1.0 }'), Firing(), since=NOW)
    events = EventBuffer()
    pen = events.writer("binance", "one")
    key = pen.key("BTC/USDT")
    pen.trade((key, NOW, NOW, 1, 1, False, 100.0, 1.0, 1, False, False))
    pen.trade((key, NOW + 3600 * SECOND, NOW, 2, 2, False, 150.0, 1.0, 1, False, True))

    alerting.observe(events)

    assert alerting.take() == {}


def test_a_stream_that_is_silent_is_told_once_and_again_when_it_gets_graver():
    text = '[rules.silent]\nkind = "silent_channel"\nthresholds = { LOW = 10.0, HIGH = 60.0 }\ncooldown_seconds = 3600'
    alerting = Alerting(rules(text), Firing(), since=NOW)
    watch = Watch()
    for channel in ("trades", "liquidations"):
        watch.expect("binance", channel, "BTC/USDT", connection="one")
    watch.expect("binance", "trades", "GONE/USDT", connection="")

    told = []
    for seconds in range(0, 100, 5):
        alerting.listen(watch, NOW + seconds * SECOND)
        told += [(seconds, severity) for batch in alerting.take().values() for severity in batch["severity"].to_pylist()]

    assert told == [(10, "LOW"), (60, "HIGH")]
