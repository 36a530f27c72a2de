"""When market context is asked for: partitions and ranges of each tick, on a fixed clock."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
import pytest

from assets.resources import LakeResource
from orchestration.context import RANGE_END, RANGE_START, context_assets, context_jobs, context_months, context_schedules, month_range
from orchestration.settings import OrchestrationSettings
from sources.settings import ContextSettings

NEW_YEAR = datetime(2027, 1, 1, 0, 30, tzinfo=UTC)


def ticked(name: str, settings: ContextSettings) -> dg.RunRequest | str:
    """What a schedule asks for at half past midnight of the new year, or why it asks for nothing."""
    definitions = dg.Definitions(
        assets=context_assets(OrchestrationSettings(_env_file=None), settings),
        jobs=context_jobs(),
        schedules=context_schedules(settings),
        resources={"lake": LakeResource(home="/nowhere"), "sources": settings},
    )
    repository = definitions.get_repository_def()
    with dg.build_schedule_context(scheduled_execution_time=NEW_YEAR, repository_def=repository) as context:
        data = repository.get_schedule_def(f"{name}_schedule").evaluate_tick(context)
    if data.skip_message:
        return data.skip_message
    (request,) = data.run_requests or []
    return request


def settings(**given: object) -> ContextSettings:
    return ContextSettings(_env_file=None, **given)


@pytest.mark.parametrize("name", ["coins", "declared"])
def test_what_is_taken_by_the_day_asks_for_the_running_day(name):
    request = ticked(name, settings())

    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == "2027-01-01"


def test_candles_ask_for_every_month_their_history_reaches_as_one_run():
    request = ticked("exchange_candles", settings(candle_history_days=40))

    assert isinstance(request, dg.RunRequest)
    assert request.partition_key is None
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == ("2026-11-01", "2027-01-01")


def test_coinglass_without_a_key_is_not_asked_and_says_why():
    assert ticked("coinglass", settings(coinglass_api_key=None)) == (
        "COINGLASS_API_KEY is not set: open interest and funding of Coinglass are left out"
    )
    assert isinstance(ticked("coinglass", settings(coinglass_api_key="secret")), dg.RunRequest)


def test_no_request_holds_a_key():
    given = settings(coinglass_api_key="coinglass-secret", coingecko_api_key="coingecko-secret")

    shown = [str(ticked(name, given)) for name in ("coins", "declared", "exchange_candles", "coinglass")]

    assert not any("secret" in text for text in shown)


def test_a_range_never_begins_before_the_first_partition():
    assert month_range(NEW_YEAR, days=3650 * 2)[RANGE_START] == "2017-01-01"
    assert context_months().get_first_partition_key() == "2017-01-01"


def test_the_clocks_are_those_of_the_sources():
    crons = {schedule.name: schedule.cron_schedule for schedule in context_schedules(settings())}

    assert crons == {
        "coins_schedule": "*/30 * * * *",
        "declared_schedule": "*/30 * * * *",
        "exchange_candles_schedule": "2 * * * *",
        "coinglass_schedule": "6 */4 * * *",
    }
