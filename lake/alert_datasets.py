"""The datasets of alerts: what fired, the figures of the window behind a burst of liquidations, and what was sent to whom.

Put here: their columns, keys and units; `lake.registry` lists them among all others. Keep out: rules (`lake.alerts`) and channels.

All three are landed through a write-ahead log: by collectors, and by other processes through `lake.alerts.outbox`. They are filed under
the hour they were written in, so that a rule evaluated over old data never re-opens an old hour.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from lake.columns import EXCHANGE, SYMBOL, TIMESTAMP, Dataset
from lake.columns import column as _c

DELIVERY_STATES: Final = ("unknown", "sent", "failed", "refused")

_ALERT_ID: Final = _c("alert_id", pa.string(), "Hash of rule, exchange, symbol, subject, timestamp and severity.", delta=True)
_FIRED: Final = _c("local_timestamp", TIMESTAMP, "When the rule fired by our clock, microseconds UTC.", delta=True)
_INSTANT: Final = _c("timestamp", TIMESTAMP, "Instant of what made the rule fire (event, candle, partition), microseconds UTC.", delta=True)

ALERTS: Final = Dataset(
    name="alerts",
    description="Every alert that fired, once; rows are durable before anything is sent.",
    columns=(
        _c("exchange", pa.string(), "Exchange id; empty where the rule speaks of none."),
        _c("symbol", pa.string(), "CCXT unified symbol; empty where the rule speaks of none."),
        _INSTANT,
        _FIRED,
        _ALERT_ID,
        _c("rule", pa.string(), "Name of the rule in alerts.toml."),
        _c("kind", pa.string(), "Kind of the rule, e.g. price_move or sql."),
        _c("severity", pa.string(), "LOW, MEDIUM, HIGH or CRITICAL."),
        _c("subject", pa.string(), "What it speaks of beside a market: channel, asset, check, job or disk; empty where nothing."),
        _c("value", pa.float64(), "The figure that was judged, in `unit`; null where a condition has none.", nullable=True),
        _c("threshold", pa.float64(), "Threshold of the severity that was reached, in `unit`; null with a condition.", nullable=True),
        _c("unit", pa.string(), "Unit of value and threshold, e.g. USD, pct, bps, times, seconds; empty with a condition."),
        _c("message", pa.string(), "What happened, one sentence."),
        _c("group_key", pa.string(), "Alerts of one rule within its group_seconds share it: they are one message."),
        _c("details", pa.string(), "Further figures as a JSON object."),
    ),
    sort_key=("exchange", "symbol", "local_timestamp", "rule", "alert_id"),
    unique_key=("exchange", "symbol", "alert_id"),
    time_column="local_timestamp",
    merge="first",
    landed=True,
)

LIQUIDATION_ALERTS: Final = Dataset(
    name="liquidation_alerts",
    description="The window of forced orders behind each alert of kind liquidation_volume.",
    columns=(
        EXCHANGE,
        SYMBOL,
        _c("timestamp", TIMESTAMP, "Event time of the forced order that made the rule fire, UTC.", delta=True),
        _FIRED,
        _ALERT_ID,
        _c("rule", pa.string(), "Name of the rule in alerts.toml."),
        _c("alert_severity", pa.string(), "LOW, MEDIUM, HIGH or CRITICAL."),
        _c("window_seconds", pa.int32(), "Length of the window that ends with that order, seconds."),
        _c("event_count", pa.int64(), "Forced orders in the window that have a value in dollars."),
        _c("total_volume_usd", pa.float64(), "Sum of their values, USD."),
        _c("vwap", pa.float64(), "Sum of price x amount / sum of amount, quote units."),
        _c("price_change_pct", pa.float64(), "(last price - first price) / first price of the orders in the window, per cent."),
        _c("largest_trade_usd", pa.float64(), "Value of the largest order, USD."),
    ),
    sort_key=("exchange", "symbol", "local_timestamp", "rule", "alert_id"),
    unique_key=("exchange", "symbol", "alert_id"),
    time_column="local_timestamp",
    merge="first",
    landed=True,
)

DELIVERIES: Final = Dataset(
    name="deliveries",
    description="The ledger of what was sent: a row for each attempt to deliver an alert over a channel.",
    columns=(
        _ALERT_ID,
        _c("channel", pa.string(), "Name of the channel, e.g. log or discord; never its address."),
        _c("attempt", pa.int32(), "Attempts of this alert over this channel so far, from 1."),
        _c(
            "state",
            pa.string(),
            "unknown (noted before it leaves: no answer yet, or never), sent, failed (may be taken later) or refused.",
        ),
        _c("message_id", pa.string(), "Message it was sent in: of one alert its id, of many a hash of theirs; the same in every attempt."),
        _c("is_repeat", pa.bool_(), "True where the message was marked `retry`, for it may have arrived before."),
        _c("local_timestamp", TIMESTAMP, "When that was noted by our clock, microseconds UTC.", delta=True),
        _c("error", pa.string(), "Why it failed, one sentence without secrets; null where it did not.", nullable=True),
    ),
    sort_key=("alert_id", "channel", "attempt", "local_timestamp", "state"),
    unique_key=(),
    time_column="local_timestamp",
    merge="none",
    landed=True,
)

ALERTING: Final = (ALERTS, LIQUIDATION_ALERTS, DELIVERIES)
