"""Sensors that evaluate rules on Dagster's side: conditions when their table was made, and the health of the data.

Put here: the ticks and their cursors. Keep out: facts (`materialised`, `health`), judging and writing (`lake.alerts.outbox.fire`), and
delivery.

What fires is durable before a cursor moves, and firing twice is firing once: so a tick that is repeated repeats nothing.
"""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import dagster as dg

from lake.alerts.firing import Alert, Measured
from lake.alerts.outbox import fire
from lake.alerts.rules import Rule
from lake.files import now_us
from lake.settings import LakeSettings
from orchestration.alerting import health, materialised
from orchestration.alerting.jobs import DELIVER_ALERTS, rules_in_force
from orchestration.alerting.settings import AlertingSettings
from orchestration.settings import OrchestrationSettings

ALERT_CONDITIONS: Final = "alert_conditions"
ALERT_HEALTH: Final = "alert_health"
OVERLAP_US: Final = 300 * 1_000_000
"""How far a look at failures reaches back beyond the one before: Dagster stores some events a while after their time."""
LONGEST_PAUSE_US: Final = 600 * 1_000_000
"""A pause between two looks from which on the house counts as having been down."""
COUNTS_SECONDS: Final = 1.0
"""Beyond the instant from which a file counts, before its rows are asked."""


def alert_conditions_sensor(lake: LakeSettings, settings: OrchestrationSettings, *, now: Callable[[], int] = now_us) -> dg.SensorDefinition:
    """Asks rules of kind sql over what was made since the last tick; what stood before its first tick is left alone.

    The cursor holds the storage id of the last materialisation seen, by asset.
    """

    @dg.sensor(
        name=ALERT_CONDITIONS,
        description="Evaluates SQL rules over the tables that were made.",
        minimum_interval_seconds=settings.sensor_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        asset_selection=dg.AssetSelection.assets(),
    )
    def alert_conditions(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        rules = rules_in_force(context.log)
        watched = materialised.assets_watched(lake.house, rules)
        if not watched:
            return dg.SkipReason("no rule speaks of a table")
        moment = now()
        latest = materialised.newest(context.instance, watched)
        seen: dict[str, int] = json.loads(context.cursor) if context.cursor else dict(latest)
        before_s = moment / 1e6 - lake.visible_after_seconds - COUNTS_SECONDS
        news = [
            made
            for name, last in latest.items()
            if last > seen.setdefault(name, 0)
            and (made := materialised.made_since(context.instance, name, seen[name], before_s=before_s)) is not None
        ]
        found, broken = materialised.held(lake.house, rules, news, now=moment)
        fired = fire(lake, rules, found)
        for sentence in broken:
            context.log.error(sentence)
        cursor = json.dumps({**seen, **{made.asset: made.upto for made in news}})
        return dg.SensorResult(skip_reason=dg.SkipReason(_said(fired, context.log, looked=f"{len(news)} tables were made")), cursor=cursor)

    return alert_conditions


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What the health of the data is asked of: datasets that are to be made in time, and every check."""

    datasets: tuple[str, ...]
    checks: tuple[dg.AssetCheckKey, ...]


def alert_health_sensor(
    lake: LakeSettings,
    settings: OrchestrationSettings,
    watched: Watched,
    *,
    grace_us: int,
    alerting: AlertingSettings | None = None,
    now: Callable[[], int] = now_us,
) -> dg.SensorDefinition:
    """Measures stale partitions, failed checks and runs, and the disk. The cursor is the instant of the last look, and of the first."""
    interval = (alerting or AlertingSettings()).alert_health_seconds

    @dg.sensor(
        name=ALERT_HEALTH,
        description="Evaluates rules over the health of the data: partitions, checks, runs, the disk.",
        minimum_interval_seconds=interval,
        default_status=dg.DefaultSensorStatus.RUNNING,
        asset_selection=dg.AssetSelection.assets(),
    )
    def alert_health(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        rules = rules_in_force(context.log)
        moment = now()
        first, last = json.loads(context.cursor) if context.cursor else (moment, moment)
        if moment - last > LONGEST_PAUSE_US:
            # The house was down: what is overdue is being caught up with.
            first = moment
        found = _measured(context.instance, lake, rules, watched, first=first, since=last, now=moment, grace_us=grace_us)
        fired = fire(lake, rules, found)
        skip = dg.SkipReason(_said(fired, context.log, looked=f"{len(found)} figures"))
        return dg.SensorResult(skip_reason=skip, cursor=json.dumps([first, moment]))

    return alert_health


def _measured(
    instance: dg.DagsterInstance,
    lake: LakeSettings,
    rules: dict[str, Rule],
    watched: Watched,
    *,
    first: int,
    since: int,
    now: int,
    grace_us: int,
) -> list[tuple[str, Measured]]:
    """Each figure with each rule of its kind; what no rule asks for is not looked at."""
    kinds = health.kinds_in_force(rules)
    # Never before the first look: what failed before anybody watched is no news.
    failures_since = max(first, since - OVERLAP_US)
    looks: dict[str, Callable[[], Sequence[Measured]]] = {
        "disk": lambda: [health.disk(lake.house, now=now)],
        "stale_partition": lambda: list(health.stale_partitions(lake.house, watched.datasets, now=now, grace_us=grace_us, since=first)),
        "failed_check": lambda: health.failed_checks(instance, watched.checks, since_us=failures_since),
        "failed_run": lambda: health.failed_runs(instance, since_us=failures_since, now=now, leave_out=[DELIVER_ALERTS]),
    }
    return [(name, figure) for kind, look in looks.items() if kind in kinds for figure in look() for name in kinds[kind]]


def _said(fired: list[Alert], log: logging.Logger, *, looked: str) -> str:
    """What a tick did, in one line; each alert is logged too."""
    for alert in fired:
        log.info(f"{alert.severity} {alert.rule}: {alert.message}")  # noqa: G004 - Dagster's logger takes a sentence
    return f"{looked}, {len(fired)} alerts fired"
