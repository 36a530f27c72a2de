-- The tables of every edition, and the function behind last_id. Hypertables, aggregates and the longer candles depend on the edition
-- of the server and are laid out afterwards (lake/timescale/arrange.py).

CREATE FUNCTION tickhouse_last_id(exchange text, asset text, timeframe text, opened timestamptz) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (('x' || lpad(substr(md5(exchange || '|' || asset), 1, 9), 16, '0'))::bit(64)::bigint << 27) | (
        CASE timeframe
            WHEN '1m' THEN 0
            WHEN '3m' THEN 67108864
            WHEN '5m' THEN 89478486
            WHEN '15m' THEN 102900259
            WHEN '30m' THEN 107374184
            WHEN '1h' THEN 109611147
            WHEN '2h' THEN 110729629
            WHEN '4h' THEN 111288870
            WHEN '6h' THEN 111568491
            WHEN '8h' THEN 111754905
            WHEN '12h' THEN 111894716
            WHEN '1d' THEN 111987923
            WHEN '3d' THEN 112034527
            WHEN '1w' THEN 112050062
            WHEN '1M' THEN 112056720
        END + floor(extract(epoch FROM opened - timestamptz '1970-01-01 00:00:00+00') / 60)::bigint / CASE timeframe
            WHEN '1m' THEN 1
            WHEN '3m' THEN 3
            WHEN '5m' THEN 5
            WHEN '15m' THEN 15
            WHEN '30m' THEN 30
            WHEN '1h' THEN 60
            WHEN '2h' THEN 120
            WHEN '4h' THEN 240
            WHEN '6h' THEN 360
            WHEN '8h' THEN 480
            WHEN '12h' THEN 720
            WHEN '1d' THEN 1440
            WHEN '3d' THEN 4320
            WHEN '1w' THEN 10080
            WHEN '1M' THEN 1440
        END
    )
$$;

COMMENT ON FUNCTION tickhouse_last_id IS 'The number of a candle, made of its market, timeframe and open time; docs/timescale.md says how.';

-- What was synced, a row a partition. `refreshed` is false while continuous aggregates over it still have to be refreshed.
CREATE TABLE synced_partitions (
    table_name text NOT NULL,
    partition_start timestamptz NOT NULL,
    row_count bigint NOT NULL,
    first_time timestamptz,
    last_time timestamptz,
    synced_at timestamptz NOT NULL,
    refreshed boolean NOT NULL,
    PRIMARY KEY (table_name, partition_start)
);
CREATE INDEX synced_partitions_waiting ON synced_partitions (table_name, partition_start) WHERE NOT refreshed;

CREATE TABLE h1_data (
    "last_id" bigint NOT NULL,
    "asset" text NOT NULL,
    "exchange" text NOT NULL,
    "timestamp" timestamptz NOT NULL,
    "open" numeric NOT NULL,
    "high" numeric NOT NULL,
    "low" numeric NOT NULL,
    "close" numeric NOT NULL,
    "volume" numeric NOT NULL,
    PRIMARY KEY ("asset", "exchange", "timestamp")
);

CREATE TABLE indicators (
    "last_id" bigint NOT NULL,
    "timeframe" text NOT NULL,
    "ema200" numeric,
    "diff_ema200_pct" numeric,
    "sma200" numeric,
    "ema36" numeric,
    "ema10" numeric,
    "ehma180" numeric,
    "rsi14" numeric,
    "bbm202" numeric,
    "bbl202" numeric,
    "bbu202" numeric,
    "bbw202" numeric,
    "td_seq_up" integer,
    "td_seq_down" integer,
    "st73" numeric,
    "range_pct" numeric,
    "high_low_range_pct" numeric,
    "volume_usd" numeric,
    "exchange" text NOT NULL,
    "asset" text NOT NULL,
    "timestamp" timestamptz NOT NULL,
    "sma20" numeric,
    "sma50" numeric,
    "macd" numeric,
    "macd_signal" numeric,
    "macd_hist" numeric,
    "st73_direction" integer,
    PRIMARY KEY ("exchange", "asset", "timeframe", "timestamp")
);

CREATE TABLE cg_data (
    "id" text NOT NULL,
    "symbol" text NOT NULL,
    "name" text NOT NULL,
    "close" numeric,
    "market_cap" numeric,
    "market_cap_rank" integer,
    "fdv" numeric,
    "ath" numeric,
    "atl" numeric,
    "days_since_ath" integer,
    "ath5" boolean,
    "ath10" boolean,
    "ath15" boolean,
    "ath90" boolean,
    "timestamp" timestamptz,
    "sys_timestamp" timestamptz NOT NULL,
    "volume_24h" numeric,
    "ath_date" timestamptz,
    PRIMARY KEY ("id", "sys_timestamp")
);

CREATE TABLE asset_listing_history (
    "exchange" text NOT NULL,
    "symbol" text NOT NULL,
    "timestamp" timestamptz NOT NULL,
    "ordinal" bigint NOT NULL,
    "native" text NOT NULL,
    "market" text NOT NULL,
    "base" text NOT NULL,
    "quote" text NOT NULL,
    "settle" text,
    "contract" boolean NOT NULL,
    "is_spot" boolean NOT NULL,
    "inverse" boolean NOT NULL,
    "tick_size" numeric,
    "lot_size" numeric,
    "contract_size" numeric NOT NULL,
    "status" text NOT NULL,
    "active" boolean NOT NULL,
    PRIMARY KEY ("exchange", "symbol", "timestamp", "ordinal")
);

CREATE TABLE asset_declaration_history (
    "exchange" text NOT NULL,
    "symbol" text NOT NULL,
    "reason" text NOT NULL,
    "timestamp" timestamptz NOT NULL,
    PRIMARY KEY ("timestamp", "exchange", "symbol")
);

CREATE TABLE flags_history (
    "base" text NOT NULL,
    "flag" text NOT NULL,
    "value" text NOT NULL,
    "timestamp" timestamptz NOT NULL,
    PRIMARY KEY ("timestamp", "base", "flag")
);

CREATE TABLE logs (
    "process" text NOT NULL,
    "run_id" text NOT NULL,
    "started" timestamptz NOT NULL,
    "finished" timestamptz,
    "status" text NOT NULL,
    "rows" bigint,
    "error" text,
    PRIMARY KEY ("started", "process", "run_id")
);

CREATE TABLE order_book_snapshots (
    "symbol" text NOT NULL,
    "exchange" text NOT NULL,
    "timestamp" timestamptz NOT NULL,
    "bids" jsonb NOT NULL,
    "asks" jsonb NOT NULL,
    "sequence_id" bigint,
    "mid_price" numeric,
    "spread" numeric,
    "bid_volume" numeric NOT NULL,
    "ask_volume" numeric NOT NULL,
    "local_timestamp" timestamptz NOT NULL,
    "ordinal" bigint NOT NULL,
    PRIMARY KEY ("symbol", "exchange", "timestamp", "local_timestamp", "ordinal")
);

CREATE TABLE trade_events (
    "symbol" text NOT NULL,
    "exchange" text NOT NULL,
    "timestamp" timestamptz NOT NULL,
    "price" numeric NOT NULL,
    "size" numeric NOT NULL,
    "side" text NOT NULL,
    "trade_id" text NOT NULL,
    PRIMARY KEY ("symbol", "exchange", "timestamp", "trade_id")
);

CREATE TABLE heatmap_data (
    "symbol" text NOT NULL,
    "exchange" text NOT NULL,
    "timestamp" timestamptz NOT NULL,
    "bucket_size" numeric NOT NULL,
    "price_bucket" numeric NOT NULL,
    "volume" numeric NOT NULL,
    "side" text NOT NULL,
    "exchange_count" integer NOT NULL,
    "intensity" numeric NOT NULL,
    PRIMARY KEY ("symbol", "exchange", "timestamp", "side", "price_bucket")
);

CREATE TABLE ohlcv_data (
    "symbol" text NOT NULL,
    "exchange" text NOT NULL,
    "timestamp" timestamptz NOT NULL,
    "timeframe" text NOT NULL,
    "open_price" numeric NOT NULL,
    "high_price" numeric NOT NULL,
    "low_price" numeric NOT NULL,
    "close_price" numeric NOT NULL,
    "volume" numeric NOT NULL,
    "trade_count" bigint,
    "quote_volume" numeric,
    "buy_volume" numeric,
    "sell_volume" numeric,
    "vwap" numeric,
    "source" text NOT NULL,
    PRIMARY KEY ("symbol", "exchange", "timeframe", "timestamp")
);

CREATE TABLE liquidation_alerts (
    "timestamp" timestamptz NOT NULL,
    "total_volume_usd" numeric NOT NULL,
    "vwap" numeric NOT NULL,
    "price_change_pct" numeric NOT NULL,
    "alert_severity" text NOT NULL,
    "largest_trade_usd" numeric NOT NULL,
    "exchange" text NOT NULL,
    "symbol" text NOT NULL,
    "rule" text NOT NULL,
    "window_seconds" integer NOT NULL,
    "event_count" bigint NOT NULL,
    "local_timestamp" timestamptz NOT NULL,
    "alert_id" text NOT NULL,
    PRIMARY KEY ("exchange", "symbol", "timestamp", "local_timestamp", "alert_id")
);

CREATE TABLE trade_flow (
    "time" timestamptz NOT NULL,
    "total_count_buy" bigint NOT NULL,
    "total_count_sell" bigint NOT NULL,
    "total_base_buy" numeric NOT NULL,
    "total_base_sell" numeric NOT NULL,
    "total_usd_buy" numeric,
    "total_usd_sell" numeric,
    "exchange" text NOT NULL,
    "symbol" text NOT NULL,
    PRIMARY KEY ("exchange", "symbol", "time")
);

CREATE TABLE h4_oi (
    "symbol" text NOT NULL,
    "timeframe" text NOT NULL,
    "timestamp" timestamptz NOT NULL,
    "open" numeric NOT NULL,
    "high" numeric NOT NULL,
    "low" numeric NOT NULL,
    "close" numeric NOT NULL,
    PRIMARY KEY ("symbol", "timeframe", "timestamp")
);

CREATE TABLE h4_oi_weight (
    "symbol" text NOT NULL,
    "timeframe" text NOT NULL,
    "timestamp" timestamptz NOT NULL,
    "open" numeric NOT NULL,
    "high" numeric NOT NULL,
    "low" numeric NOT NULL,
    "close" numeric NOT NULL,
    PRIMARY KEY ("symbol", "timeframe", "timestamp")
);

CREATE INDEX h1_data_last_id ON h1_data (last_id);
CREATE INDEX indicators_last_id ON indicators (last_id);
CREATE INDEX cg_data_sys_timestamp ON cg_data (sys_timestamp DESC, market_cap_rank);
CREATE INDEX order_book_snapshots_local_timestamp ON order_book_snapshots (local_timestamp);
CREATE INDEX liquidation_alerts_local_timestamp ON liquidation_alerts (local_timestamp);

-- What holds now, beside the history it is taken from.
CREATE VIEW asset_listing AS
SELECT * FROM (
    SELECT DISTINCT ON (exchange, symbol) exchange, symbol, native, base, quote, contract, is_spot, active, market, settle, inverse,
        tick_size, lot_size, contract_size, status, "timestamp"
    FROM asset_listing_history ORDER BY exchange, symbol, "timestamp" DESC, ordinal DESC
) newest WHERE status <> 'gone'
UNION ALL
SELECT 'coingecko', symbol || '/USD', id, symbol, 'USD', false, true, close IS NOT NULL, 'coins', NULL, false,
    NULL, NULL, 1, CASE WHEN close IS NULL THEN 'halted' ELSE 'trading' END, sys_timestamp
FROM cg_data WHERE sys_timestamp = (SELECT max(sys_timestamp) FROM cg_data);

CREATE VIEW asset_declaration AS
SELECT exchange, symbol, reason, "timestamp" FROM asset_declaration_history WHERE "timestamp" = (
    SELECT date_trunc('day', max(started) AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' FROM logs WHERE process = 'declarations' AND status = 'success'
);

CREATE VIEW flags AS
SELECT base, flag, value, "timestamp" FROM flags_history WHERE "timestamp" = (
    SELECT date_trunc('day', max(started) AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' FROM logs WHERE process = 'flags' AND status = 'success'
);
