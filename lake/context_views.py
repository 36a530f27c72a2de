# ruff: noqa: S608 - every name put into these statements is our own
"""SQL text of the views of market context: the newest of each, and listings beside CoinGecko's coins, declarations and flags.

Put here: these views and what is said of their columns. Keep out: views over single datasets (`lake.views`), and those of
indicators (`lake.indicator_views`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from lake.columns import Dataset
from lake.context_datasets import ATH_DISTANCES, COINGECKO, DECLARATIONS, FLAGS


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextView:
    """One view: what it shows, its SELECT, and its columns with a comment each."""

    name: str
    says: str
    select: str
    columns: Mapping[str, str] = field(default_factory=dict)


def _comments(data: Dataset) -> dict[str, str]:
    return {column.name: column.comment for column in data.columns}


def _read_last(process: str) -> str:
    """Rows of the state that the last successful run of a process read: it may have read that there are none."""
    return (
        f"SELECT * FROM {process} WHERE timestamp = (SELECT time_bucket(INTERVAL 1 DAY, max(started)) FROM execution_log "
        f"WHERE process = '{process}' AND status = 'success')"
    )


_LISTED: Final = {
    "exchange": "Exchange id, lower case; coingecko for a coin of its list.",
    "symbol": "CCXT unified symbol; of a coin its symbol against USD.",
    "native": "The venue's own id of the instrument; CoinGecko's id of a coin.",
    "base": "Base asset.",
    "quote": "Quote asset.",
    "contract": "True for a derivative.",
    "is_spot": "True for a spot pair, and for coins: their price is a spot one.",
    "active": "True while it is traded; for coins while they have a price.",
}

_FLAGS: Final = ", ".join(f"c.ath{distance}" for distance in ATH_DISTANCES)

CONTEXT_VIEWS: Final = (
    ContextView(
        name="coingecko_now",
        says="The newest snapshot of CoinGecko's coins.",
        select="SELECT * FROM coingecko WHERE local_timestamp = (SELECT max(local_timestamp) FROM coingecko)",
        columns=_comments(COINGECKO),
    ),
    ContextView(
        name="declarations_now",
        says="The symbols that are declared now.",
        select=_read_last(DECLARATIONS.name),
        columns=_comments(DECLARATIONS),
    ),
    ContextView(
        name="flags_now",
        says="The flags of base assets as they are now.",
        select=_read_last(FLAGS.name),
        columns=_comments(FLAGS),
    ),
    ContextView(
        name="listings_all",
        says="What is listed: the instruments of every exchange, and CoinGecko's coins as an exchange of their own.",
        select=(
            "SELECT exchange, symbol, native, base, quote, contract, is_spot, active, date, hour FROM listings_now WHERE status <> 'gone'\n"
            "UNION ALL\n"
            "SELECT 'coingecko' AS exchange, symbol || '/USD' AS symbol, cg_id AS native, symbol AS base, 'USD' AS quote, "
            "false AS contract, true AS is_spot, close IS NOT NULL AS active, date, hour FROM coingecko_now"
        ),
        columns=_LISTED,
    ),
    ContextView(
        name="markets",
        says="Every listed instrument with the coin of its base (of namesakes the best ranked one), what is declared and what is flagged.",
        select=(
            "WITH coins AS (SELECT * FROM coingecko_now "
            "QUALIFY row_number() OVER (PARTITION BY symbol ORDER BY rank NULLS LAST, cg_id) = 1), "
            "flagged AS (SELECT base, map_from_entries(list((flag, value) ORDER BY flag)) AS flags FROM flags_now GROUP BY base)\n"
            "SELECT l.exchange, l.symbol, l.base, l.quote, l.contract, l.is_spot, l.active, d.symbol IS NOT NULL AS declared, "
            f"f.flags, c.cg_id, c.name, c.rank, c.market_cap, c.close AS usd, c.days_since_ath, {_FLAGS}, l.date, l.hour "
            "FROM listings_now l LEFT JOIN coins c ON c.symbol = upper(l.base) "
            "LEFT JOIN declarations_now d ON d.exchange = l.exchange AND d.symbol = l.symbol "
            "LEFT JOIN flagged f ON f.base = upper(l.base) WHERE l.status <> 'gone'"
        ),
        columns={
            **{name: comment for name, comment in _LISTED.items() if name != "native"},
            "declared": "True where declarations.toml tracks it.",
            "flags": "Flags of the base asset, name to value; null where it has none.",
            "cg_id": "CoinGecko's id of the base asset; null where its list does not hold it.",
            "name": "Name of the coin.",
            "rank": "Rank of the coin by market capitalisation.",
            "market_cap": "Market capitalisation of the coin, USD.",
            "usd": "Price of the coin, USD.",
            **{
                column.name: column.comment
                for column in COINGECKO.columns
                if column.name in {"days_since_ath", *(f"ath{distance}" for distance in ATH_DISTANCES)}
            },
        },
    ),
)
"""In an order in which each can be created."""
