"""Books made again of recorded changes equal the tops that were sampled while the frames were taken."""

from pathlib import Path

import polars as pl
import pytest

from collectors.decode import decode_files
from lake.transforms.book_states import DELTA_COLUMNS, books_at
from tests.lake.transforms.book_rows import as_sides


@pytest.mark.parametrize("name", ["v5_bookstbt_checksum_trades_20220227.jsonl.gz", "v5_books_checksum_trades_btcusdt_20220513.jsonl.gz"])
def test_every_sampled_top_is_the_top_of_the_book_made_again(recordings: Path, name: str) -> None:
    tables = decode_files("okx", [recordings / "okx" / name]).tables()
    deltas = pl.DataFrame(tables["book_deltas"]).select(DELTA_COLUMNS)
    # A sample may be taken just before a frame of its own instant: then that frame's time differs from the one it tells.
    after = pl.DataFrame(tables["book_deltas"]).group_by("symbol", "local_timestamp").agg(latest=pl.col("timestamp").max())
    joined = pl.DataFrame(tables["book_snapshots"]).join(after, on=["symbol", "local_timestamp"], how="left")
    sampled = joined.filter(pl.col("latest").is_null() | (pl.col("latest") == pl.col("timestamp")))

    instants = sampled["local_timestamp"].dt.epoch("us").unique().sort().to_list()
    made = as_sides(books_at(deltas, instants).best(25))

    assert sampled.height >= 5
    for row in sampled.with_columns(instant=pl.col("local_timestamp").dt.epoch("us")).iter_rows(named=True):
        bids, asks = made[row["exchange"], row["symbol"], row["instant"]]
        assert list(bids.items()) == list(zip(row["bid_prices"], row["bid_amounts"], strict=True))
        assert list(asks.items()) == list(zip(row["ask_prices"], row["ask_amounts"], strict=True))
