"""The whole way: forced orders of the simulated market, a collector that is killed, the sensor, the job, and a server that stands for Discord."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import dagster as dg
import pytest

from lake.settings import LakeSettings
from orchestration.alerting.jobs import delivery_job
from orchestration.alerting.sensors import alert_outbox_sensor
from simulator.discord import Discord
from tests.collectors.simulating import Running, Simulator, until
from tests.orchestration.alerting import alerting, embeds, ledger_of

pytestmark = pytest.mark.lengthy(waits=True)

SYMBOLS = {"bybit": ["BTC/USDT:USDT", "ETH/USDT:USDT"]}
RULES = """
[rules.forced]
kind = "liquidation_volume"
thresholds = { MEDIUM = 1000.0, CRITICAL = 1000000000.0 }
cooldown_seconds = 0
group_seconds = 0
"""


def wait_for_alerts(running: Running, number: int) -> None:
    until(lambda: len(running.sql("select 1 from alerts")) >= number, what="an alert for every order")


@pytest.mark.timeout(300)
def test_every_burst_reaches_discord_once_though_the_collector_is_killed_after_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    draw = random.Random(seed)
    print(f"seed {seed}")
    rules = tmp_path / "alerts.toml"
    rules.write_text(RULES)
    monkeypatch.setenv("TICKHOUSE_ALERTS", str(rules))
    market = Simulator(tmp_path, rate=100, exchanges="bybit", arguments=["--liquidations-per-minute", "0"])
    discord = Discord()
    discord.start()
    hook = discord.webhook("of-the-burst")
    monkeypatch.setenv("DISCORD_WEBHOOK_URL", hook)
    monkeypatch.setenv("TICKHOUSE_ALERT_LOG", "false")
    lake = LakeSettings(home=tmp_path / "home", visible_after_seconds=0.2, _env_file=None)
    sensor = alert_outbox_sensor(lake, alerting(discord_webhook_url=hook))
    job = delivery_job(lake, retry_seconds=0)
    cursor: str | None = None
    forced = 0
    try:
        with dg.DagsterInstance.ephemeral() as instance:
            for _ in range(2):
                running = Running(tmp_path, market.endpoints, symbols=SYMBOLS)
                running.wait_live()
                # One after the other: orders of one instant would share a message.
                for symbol in draw.sample(SYMBOLS["bybit"], 2):
                    forced += market.control("burst", exchange="bybit", symbol=symbol, usd=20_000)["orders"]
                    wait_for_alerts(running, forced)
                running.kill()
                with dg.build_sensor_context(instance, cursor=cursor) as context:
                    result = sensor(context)
                assert isinstance(result, dg.SensorResult)
                cursor = result.cursor
                for request in result.run_requests or []:
                    assert job.execute_in_process(run_config=request.run_config, instance=instance).success
        rows = running.sql("select alert_id, exchange, symbol, severity, value from alerts")
    finally:
        market.kill()
        discord.close()

    assert Counter(embed["footer"]["text"] for embed in embeds(discord)) == Counter(row["alert_id"] for row in rows)
    assert {row["symbol"] for row in rows} == set(SYMBOLS["bybit"])
    shown = {embed["footer"]["text"]: embed for embed in embeds(discord)}
    for row in rows:
        embed = shown[row["alert_id"]]
        fields = {field["name"]: field["value"] for field in embed["fields"]}
        assert embed["title"] == f"MEDIUM: forced · bybit {row['symbol']}"
        assert (fields["rule"], fields["exchange"], fields["symbol"]) == ("forced", "bybit", row["symbol"])
        assert float(fields["value"].removesuffix(" USD").replace(",", "")) == pytest.approx(row["value"], rel=1e-5)
    assert Counter(row["state"] for row in ledger_of(lake)) == {"unknown": len(rows), "sent": len(rows)}
