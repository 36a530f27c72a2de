from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collectors.rows import EventBuffer
from collectors.venues.binance.messages import decode_bare_depth, decode_bare_trade
from lake.registry import DATASETS

T0 = 1_760_000_000_000_000


def fifteen_digits() -> st.SearchStrategy[str]:
    def spell(digits: int, places: int) -> str:
        text = str(digits).rjust(places + 1, "0")
        return f"{text[:-places]}.{text[-places:]}" if places else text

    return st.builds(spell, st.integers(1, 10**15 - 1), st.integers(0, 14))


@given(fifteen_digits(), fifteen_digits())
def test_numbers_of_fifteen_digits_come_back_digit_for_digit(price: str, amount: str) -> None:
    trade = decode_bare_trade(f'{{"s":"X","t":1,"p":"{price}","q":"{amount}","T":1,"m":true}}')
    depth = decode_bare_depth(f'{{"E":1,"s":"X","U":1,"u":1,"b":[["{price}","{amount}"]],"a":[]}}')
    events = EventBuffer()
    writer = events.writer("binance", "c")
    writer.trade((writer.key("X/Y"), T0, T0, 1, 1, True, trade.p, trade.q, 1, False, False))
    writer.book((writer.key("X/Y"), T0, T0, 1, False, depth.b, depth.a))
    batches = events.drain()
    for batch in (batches["trades"], batches["book_deltas"]):
        for column, spelled in (("price", price), ("amount", amount)):
            back = batch[column][0].as_py()
            places = len(spelled.partition(".")[2])
            assert f"{back:.{places}f}" == spelled


def test_drained_batches_have_registry_schema_and_arrival_order() -> None:
    events = EventBuffer()
    one, two = events.writer("binance", "a"), events.writer("kraken", "b")
    one.book((one.key("BTC/USDT"), None, T0, 5, True, [(2.0, 1.0), (1.0, 1.0)], [(3.0, 4.0)]))
    two.book((two.key("BTC/USD"), T0 + 1, T0 + 2, None, False, [], [(7.0, 0.0)]))
    one.trade((one.key("BTC/USDT"), T0, T0, 9, 9, False, 1.5, 2.5, 3, True, True))
    two.trade((two.key("BTC/USD"), T0, T0, 1, "uuid-1", True, 1.0, 2.0, 1, False, False))
    one.book_snapshot((one.key("BTC/USDT"), None, T0, 1, None, ([2.0], [1.0]), ([], [])))
    one.derivative("BTC/USDT:USDT", T0, local=T0, mark_price=5.0)
    one.liquidation("BTC/USDT:USDT", T0, local=T0, side="sell", price=1.0, amount=2.0, value_usd=None, liquidation_id="n", sampled=True)
    one.dead_letter(b"\xff", "no JSON", local=T0)
    assert events.pending

    batches = events.drain()

    assert not events.pending
    assert events.drain() == {}
    for name, batch in batches.items():
        assert batch.schema.equals(DATASETS[name].schema, check_metadata=True)
        batch.validate(full=True)
    deltas = batches["book_deltas"].to_pylist()
    assert [(row["exchange"], row["symbol"], row["side"], row["price"], row["amount"], row["sequence"]) for row in deltas] == [
        ("binance", "BTC/USDT", "bid", 2.0, 1.0, 5),
        ("binance", "BTC/USDT", "bid", 1.0, 1.0, 5),
        ("binance", "BTC/USDT", "ask", 3.0, 4.0, 5),
        ("kraken", "BTC/USD", "ask", 7.0, 0.0, None),
    ]
    assert [row["timestamp"] is None for row in deltas] == [True, True, True, False]
    assert [row["is_snapshot"] for row in deltas] == [True, True, True, False]
    assert [row["ordinal"] for row in deltas] == sorted(row["ordinal"] for row in deltas)
    trades = batches["trades"].to_pylist()
    assert [(row["trade_id"], row["side"], row["source"], row["clock_suspect"], row["fill_count"]) for row in trades] == [
        ("9", "buy", "rest", True, 3),
        ("uuid-1", "sell", "stream", False, 1),
    ]
    assert batches["book_snapshots"].to_pylist()[0]["bid_prices"] == [2.0]
    assert batches["book_snapshots"].to_pylist()[0]["ask_amounts"] == []


def test_rows_decoded_are_landed_duplicates_and_discarded_by_reason() -> None:
    events = EventBuffer()
    writer = events.writer("binance", "a")
    writer.trade((writer.key("X/Y"), T0, T0, 1, 1, True, 1.0, 1.0, 1, False, False))
    writer.duplicate("trades", 2)
    writer.discard("trades", "adl")
    writer.discard("trades", "adl", rows=3)
    writer.discard("trades", "na", rows=0)
    count = writer.counts["trades"]
    assert (count.decoded, count.landed, count.duplicates, count.discarded) == (7, 1, 2, {"adl": 4})
    assert events.writer("binance", "a") is writer
