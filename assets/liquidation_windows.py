"""Rolling windows over liquidations, made from the liquidations and large trades of their hour and the end of the hour before.

Put here: which events a window reads -> transform -> write. Keep out: a window's figures (`lake.transforms.liquidation_windows`).

The last minutes of the former hour are read directly, and are no dependency of the partition: declared as a mapping, one late hour would
request its successor, and a range of them each other. So an hour that is repaired in its last minutes leaves the first windows of
the next as they were; materialise both as one range to correct them.
"""

from typing import Final

import dagster as dg
import polars as pl

from assets.checks import check_specs, judge
from assets.flow import AFTER_CANDLES, described, done, write
from assets.landed import POOL
from assets.outcome import HourDone, each_hour, materialized
from assets.resources import FlowResource, LakeResource
from assets.rules import unsound_exchanges
from lake.derived import read_hour
from lake.flow_datasets import LIQUIDATION_WINDOWS
from lake.paths import HOUR_US, Hour
from lake.transforms.book_states import MINUTE_US
from lake.transforms.liquidation_windows import forced_orders, large_trades, liquidation_windows

PUBLISH_NONE: Final = ("coinbase", "kucoin", "mexc")
"""Venues without a public feed of liquidations: their large trades stand in, marked `proxy`."""

_FORCED: Final = ["exchange", "symbol", "timestamp", "ordinal", "liquidation_id", "side", "price", "amount", "value_usd"]
_TRADED: Final = ["exchange", "symbol", "timestamp", "ordinal", "trade_id", "side", "price", "amount"]


def liquidation_windows_asset(partitions: dg.HourlyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset `liquidation_windows`."""

    @dg.asset(
        name=LIQUIDATION_WINDOWS.name,
        deps=["liquidations", "trades"],
        partitions_def=partitions,
        pool=POOL,
        op_tags=AFTER_CANDLES,
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=check_specs(LIQUIDATION_WINDOWS),
        **described(LIQUIDATION_WINDOWS),
    )
    def windows(context: dg.AssetExecutionContext, lake: LakeResource, flow: FlowResource) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster knows it by the bare class
        outcome = each_hour(context, lambda hour: _make(lake, flow, hour))
        return materialized(context, LIQUIDATION_WINDOWS, outcome, checks=judge(lake.house, LIQUIDATION_WINDOWS, outcome))

    return windows


def _make(lake: LakeResource, flow: FlowResource, hour: Hour) -> HourDone:
    since = hour.start + MINUTE_US - flow.window_seconds * 1_000_000
    liquidations, forced_mark = _read(lake, "liquidations", hour, _FORCED, since=since)
    trades, traded_mark = _read(lake, "trades", hour, _TRADED, since=since)
    trades = trades.filter(pl.col("exchange").is_in(PUBLISH_NONE))
    left_out = {**unsound_exchanges(liquidations), **unsound_exchanges(trades)}
    events = pl.concat([forced_orders(liquidations), large_trades(trades, PUBLISH_NONE, least_usd=flow.large_trade_usd)])
    made = liquidation_windows(
        events.filter(~pl.col("exchange").is_in(list(left_out))),
        hour.start,
        window_seconds=flow.window_seconds,
        threshold_usd=flow.liquidation_threshold_usd,
    )
    result = write(lake, LIQUIDATION_WINDOWS, hour, made, watermark=max(forced_mark, traded_mark))
    return done(hour, made, result, left_out=left_out)


def _read(lake: LakeResource, name: str, hour: Hour, columns: list[str], *, since: int) -> tuple[pl.DataFrame, int]:
    """Rows of the hour and of the former hour from `since` on, and the greater of their watermarks."""
    own, mark = read_hour(lake.house, name, hour, columns=columns)
    if since >= hour.start:
        return pl.DataFrame(own), mark
    former, former_mark = read_hour(lake.house, name, Hour(hour.start - HOUR_US), columns=columns)
    late = pl.DataFrame(former).filter(pl.col("timestamp").dt.epoch("us") >= since)
    return pl.concat([late, pl.DataFrame(own)]), max(mark, former_mark)
