from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collectors.ledger import MINUTE_US, Counted, FrameCount, Ledger
from collectors.rows import EventBuffer, RowCount
from lake.registry import DATASETS

NOW = 29_000_000 * MINUTE_US + 12_345_678


def counted(frames: FrameCount, rows: dict[str, RowCount]) -> Counted:
    return Counted("binance", "binance-spot-0", frames, rows)


def test_a_ledger_row_is_what_was_added_since_the_one_before():
    ledger = Ledger()
    frames, trades = FrameCount(), RowCount()

    frames.decoded, frames.control, trades.landed = 5, 1, 9
    first = ledger.batch([counted(frames, {"trades": trades})], NOW)
    frames.decoded, frames.dead_letters, trades.duplicates = 7, 1, 2
    trades.discarded["na"] = 3
    second = ledger.batch([counted(frames, {"trades": trades})], NOW)

    assert first.schema.equals(DATASETS["ledger"].schema)
    assert [(row["dataset"], row["frames"], row["decoded"], row["rows_landed"]) for row in first.to_pylist()] == [
        ("", 6, 5, 0),
        ("trades", 0, 0, 9),
    ]
    rows = second.to_pylist()
    assert [
        (
            row["dataset"],
            row["frames"],
            row["dead_letters"],
            row["rows_decoded"],
            row["duplicates"],
            row["discarded"],
            row["discard_reason"],
        )
        for row in rows
    ] == [
        ("", 3, 1, 0, 0, 0, ""),
        ("trades", 0, 0, 2, 2, 0, ""),
        ("trades", 0, 0, 3, 0, 3, "na"),
    ]
    assert {row["timestamp"].second for row in rows} == {0}


def test_nothing_new_is_no_row():
    ledger = Ledger()
    frames = FrameCount(decoded=1)
    ledger.batch([counted(frames, {})], NOW)

    assert ledger.batch([counted(frames, {"trades": RowCount()})], NOW + MINUTE_US) is None


steps = st.lists(
    st.tuples(
        st.sampled_from(["control", "ignored", "decoded", "dead_letters"]),
        st.sampled_from(["landed", "duplicates", "discarded"]),
        st.integers(0, 50),
        st.booleans(),
    ),
    max_size=60,
)


@given(steps)
def test_both_laws_hold_in_every_row_and_the_sums_are_the_counters(taken):
    ledger = Ledger()
    frames, trades = FrameCount(), RowCount()
    rows = []
    for outcome, fate, number, flush in [*taken, ("control", "landed", 1, True)]:
        setattr(frames, outcome, getattr(frames, outcome) + number)
        if fate == "discarded":
            trades.discarded["odd"] = trades.discarded.get("odd", 0) + number
        else:
            setattr(trades, fate, getattr(trades, fate) + number)
        if flush:
            batch = ledger.batch([counted(frames, {"trades": trades})], NOW)
            rows += batch.to_pylist() if batch else []

    for row in rows:
        assert row["frames"] == row["control"] + row["ignored"] + row["decoded"] + row["dead_letters"]
        assert row["rows_decoded"] == row["rows_landed"] + row["duplicates"] + row["discarded"]
    total = {
        name: sum(row[name] for row in rows)
        for name in ("frames", "dead_letters", "rows_decoded", "rows_landed", "duplicates", "discarded")
    }
    assert total == {
        "frames": frames.frames,
        "dead_letters": frames.dead_letters,
        "rows_decoded": trades.decoded,
        "rows_landed": trades.landed,
        "duplicates": trades.duplicates,
        "discarded": sum(trades.discarded.values()),
    }


def test_the_counters_of_a_writer_are_what_the_ledger_reads():
    events = EventBuffer()
    writer = events.writer("binance", "binance-spot-0")
    writer.dead_letter(b"x", "no JSON", local=NOW)
    writer.duplicate("trades", 4)

    rows = Ledger().batch([counted(FrameCount(dead_letters=1), writer.counts)], NOW).to_pylist()

    assert {(row["dataset"], row["rows_landed"], row["duplicates"]) for row in rows} == {
        ("", 0, 0),
        ("dead_letters", 1, 0),
        ("trades", 0, 4),
    }
