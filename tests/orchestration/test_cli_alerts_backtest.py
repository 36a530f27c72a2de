"""`tickhouse alerts backtest` over a candle file and a home: what it prints, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lake.errors import AlertRuleError
from orchestration.cli.app import app

CONDITION = """
[rules.exhausted]
kind = "sql"
table = "indicators"
where = { MEDIUM = "rsi14 < 30 and td_seq_down >= 9", HIGH = "rsi14 < 20 and td_seq_down >= 9" }
value = "rsi14"
cooldown_seconds = 3600
[rules.full]
kind = "disk"
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(CONDITION)
    return path


def test_recorded_candles_say_when_a_condition_over_their_indicators_held(recordings: Path, rules: Path):
    candles = recordings / "ohlcv" / "btc_perp_1m_20211231_20220201.csv.gz"
    given = ["alerts", "backtest", "--candles", str(candles), "--symbol", "BTC/USDT:USDT", "--rules", str(rules)]
    stretch = ["--from", "2022-01-01", "--to", "2022-01-03"]

    answer = json.loads(CliRunner().invoke(app, [*given, *stretch, "--json"]).stdout)
    shown = CliRunner().invoke(app, [*given, *stretch]).stdout

    assert answer["alerts"]
    assert all(alert["details"]["rsi14"] < 30 and alert["details"]["td_seq_down"] >= 9 for alert in answer["alerts"])
    assert {alert["severity"] for alert in answer["alerts"]} == {"MEDIUM", "HIGH"}
    assert list(answer["left_out"]) == ["full"]
    assert "exhausted holds: rsi14 " in shown
    assert "full is left out: " in shown
    assert f"{len(answer['alerts'])} alerts of 1 rules" in shown


def test_an_empty_home_has_no_alerts(tmp_path: Path, rules: Path):
    done = CliRunner().invoke(app, ["alerts", "backtest", "--home", str(tmp_path / "home"), "--from", "2026-11-01", "--rules", str(rules)])

    assert done.exit_code == 0
    assert "0 alerts of 1 rules in 0 messages" in done.stdout


def test_what_cannot_be_run_is_refused(tmp_path: Path, rules: Path):
    home = ["--home", str(tmp_path / "home"), "--rules", str(rules)]

    nothing = CliRunner().invoke(app, ["alerts", "backtest", *home])
    backwards = CliRunner().invoke(app, ["alerts", "backtest", *home, "--from", "2026-11-02", "--to", "2026-11-01"])
    absent = CliRunner().invoke(app, ["alerts", "backtest", "--rules", str(tmp_path / "none.toml"), "--from", "2026-11-01"])

    assert (nothing.exit_code, backwards.exit_code) == (2, 2)
    assert isinstance(absent.exception, AlertRuleError)
