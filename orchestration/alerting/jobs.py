"""The job that delivers alerts: one op, visible and retryable, with what it did as metadata.

Put here: the job. Keep out: delivery itself (`delivering`) and when the job runs (`sensors`).

Addresses of channels are read from the environment by the run itself: no config, tag, metadata or event holds one.
"""

import logging
from typing import Final

import dagster as dg

from lake.alerts.rules import Rule, load_rules
from lake.alerts.settings import AlertSettings
from lake.errors import AlertRuleError
from lake.settings import LakeSettings
from orchestration.alerting.configured import opened
from orchestration.alerting.delivering import Delivered, deliver
from orchestration.alerting.settings import AlertingSettings

DELIVER_ALERTS: Final = "deliver_alerts"
DELIVER_OP: Final = "deliver"
MOST_LISTED: Final = 50


def delivery_config(ids: list[str] | tuple[str, ...]) -> dict[str, object]:
    """Run config of a delivery of these alerts."""
    return {"ops": {DELIVER_OP: {"config": {"alerts": list(ids)}}}}


def delivery_job(lake: LakeSettings, *, retry_seconds: float = 5.0) -> dg.JobDefinition:
    """Offers alerts to every channel that has not taken them; fails where one does not, and may be executed again at any time.

    Where trying again may help, the run does so once after `retry_seconds`.
    """

    @dg.op(
        name=DELIVER_OP,
        description="Offers the alerts to every channel that has not taken them yet.",
        config_schema={"alerts": dg.Field([str], description="Ids of alerts; others of their groups go with them.")},
        out=dg.Out(dg.Nothing),
        retry_policy=dg.RetryPolicy(max_retries=1, delay=retry_seconds),
    )
    def deliver_op(context: dg.OpExecutionContext) -> None:
        ids: list[str] = context.op_config["alerts"]
        settings = AlertingSettings()
        with opened(settings, logger=context.log) as channels:
            done = deliver(lake, settings, channels, rules_in_force(context.log), ids)
        context.add_output_metadata(_metadata(ids, done))
        for each in done:
            context.log.info(each.sentence)
        _raise_failure(done)

    @dg.job(
        name=DELIVER_ALERTS,
        description="Delivers alerts that fired over the configured channels.",
        # Before hours and back-fills in the queue.
        tags={"dagster/priority": "10"},
    )
    def deliver_alerts() -> None:
        deliver_op()

    return deliver_alerts


def rules_in_force(log: logging.Logger) -> dict[str, Rule]:
    """The rules in force, which say what channels alerts go to; a broken file is logged, and what has fired goes to all of them."""
    try:
        return load_rules(AlertSettings())
    except AlertRuleError as error:
        log.warning(f"alerts go to every channel: {error}")  # noqa: G004 - Dagster's logger takes a sentence
        return {}


def _metadata(ids: list[str], done: list[Delivered]) -> dict[str, dg.MetadataValue | int]:
    states = [each.outcome.state if each.outcome else "left" for each in done]
    rows = [(each.channel, each.message_id, each.alerts, _tries(each), _state(each)) for each in done[:MOST_LISTED]]
    listed = "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)
    table = f"| channel | message | alerts | tries | state |\n| --- | --- | --- | --- | --- |\n{listed}"
    return {
        "alerts": len(ids),
        "messages": len(done),
        "sent": states.count("sent"),
        "failed": len(states) - states.count("sent"),
        "repeats": sum(each.outcome is not None and each.outcome.marked for each in done),
        "channels": dg.MetadataValue.text(", ".join(sorted({each.channel for each in done})) or "-"),
        "attempts": sum(each.outcome.tries for each in done if each.outcome is not None),
        "deliveries": dg.MetadataValue.md(table),
    }


def _tries(each: Delivered) -> int:
    return each.outcome.tries if each.outcome is not None else 0


def _state(each: Delivered) -> str:
    if each.outcome is None:
        return "left"
    return f"{each.outcome.state} (retry)" if each.outcome.marked else each.outcome.state


def _raise_failure(done: list[Delivered]) -> None:
    """Fail the run where a channel has not taken everything: at once for good where it refuses, else it is tried once more."""
    missed = [each for each in done if each.outcome is None or each.outcome.state != "sent"]
    if missed:
        passing = any(each.outcome is None or each.outcome.state != "refused" for each in missed)
        raise dg.Failure(description="; ".join(each.sentence for each in missed[:5]), allow_retries=passing)
