"""What the tests of alerts share: alerts laid into a lake through the outbox, its ledger read back, and a server that stands for Discord."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from lake.alerts.firing import Alert, batches
from lake.alerts.outbox import open_outbox
from lake.query import run_sql
from lake.settings import LakeSettings
from orchestration.alerting.settings import AlertingSettings
from simulator.discord import Discord

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


def now_us() -> int:
    return time.time_ns() // 1000


def lake_at(root: Path) -> LakeSettings:
    return LakeSettings(home=root, visible_after_seconds=0.2, _env_file=None)


def alerting(discord: Discord | None = None, **more: Any) -> AlertingSettings:
    """Settings of delivery to one webhook of the stand-in, without waits."""
    given = {"alert_log": False, "alert_gather_seconds": 0, "alert_watch_seconds": 0, **more}
    if discord is not None:
        given["discord_webhook_url"] = discord.webhook("t0ken-of-the-tests")
    return AlertingSettings(_env_file=None, **given)


def alert(
    name: str, *, fired: int | None = None, symbol: str = "BTC/USDT", severity: str = "HIGH", rule: str = "move", **more: Any
) -> Alert:
    """An alert called `name`, a group of its own unless `group_key` says otherwise."""
    fired = now_us() if fired is None else fired
    given = {
        "exchange": "binance",
        "symbol": symbol,
        "timestamp": fired,
        "local_timestamp": fired,
        "alert_id": name,
        "rule": rule,
        "kind": "price_move",
        "severity": severity,
        "subject": "",
        "value": 5.0,
        "threshold": 2.0,
        "unit": "pct",
        "message": f"{symbol}: price move 5 pct ({severity} from 2)",
        "group_key": f"{rule}@{name}",
        "details": {"window_seconds": 300},
    }
    return Alert(**{**given, **more})


def lay(lake: LakeSettings, *alerts: Alert) -> list[str]:
    """Append alerts as a process that is no collector does; their ids."""
    with open_outbox(lake) as outbox:
        outbox.append(batches(alerts))
    return [each.alert_id for each in alerts]


def ledger_of(lake: LakeSettings) -> list[dict[str, Any]]:
    """Every row of the ledger, in the order of attempts."""
    sql = "select * exclude (local_timestamp, date, hour) from deliveries order by alert_id, channel, attempt, state = 'unknown' desc"
    return run_sql(lake.house, sql).table.to_pylist()


def embeds(discord: Discord) -> list[dict[str, Any]]:
    """Embeds that a reader of the channel sees, in order."""
    return [posted.body["embeds"][0] for posted in discord.taken]
