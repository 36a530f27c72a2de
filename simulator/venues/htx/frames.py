"""HTX's socket messages as text, field order as recorded, and the gzip around them.

What belongs here: one function per message type. What does not: which client gets it, and when.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence

from simulator.market import Trade
from simulator.venues.htx.catalogue import Spelling

# A small window and little memory: the deflate state's set-up costs more than the messages of a few hundred bytes.
GZIP_WINDOW = 16 + 12
GZIP_MEMORY = 5
FUNDING_RATE = 0.0001
FUNDING_INTERVAL_MS = 8 * 3_600_000


def packed(text: str) -> bytes:
    """A message as the venue sends it: one gzip stream a frame."""
    stream = zlib.compressobj(1, zlib.DEFLATED, GZIP_WINDOW, GZIP_MEMORY)
    return stream.compress(text.encode()) + stream.flush()


def ping(now_us: int) -> str:
    """The heartbeat of market sockets."""
    return f'{{"ping":{now_us // 1000}}}'


def notification_ping(now_us: int) -> str:
    """The heartbeat of the notification socket."""
    return f'{{"op":"ping","ts":"{now_us // 1000}"}}'


def subscribed(topic: str, *, verb: str, identity: str, spot: bool, now_us: int) -> str:
    """The acknowledgement on market sockets; `verb` is subbed or unsubbed, `identity` the client's id as JSON text."""
    if spot:
        return f'{{"id":{identity},"status":"ok","{verb}":"{topic}","ts":{now_us // 1000}}}'
    return f'{{"id":{identity},"{verb}":"{topic}","ts":{now_us // 1000},"status":"ok"}}'


def refused(message: str, *, identity: str, now_us: int) -> str:
    """A refusal on market sockets; `identity` is JSON text."""
    return f'{{"ts":{now_us // 1000},"status":"error","err-code":"bad-request","err-msg":{json.dumps(message)},"id":{identity}}}'


def notification_answer(verb: str, topic: str, *, cid: str, now_us: int, code: int = 0, message: str = "") -> str:
    """The answer on the notification socket; `topic` and `cid` are JSON text, code 0 means yes."""
    reason = f',"err-msg":{json.dumps(message)}' if code else ""
    return f'{{"op":"{verb}","cid":{cid},"topic":{topic},"ts":{now_us // 1000},"err-code":{code}{reason}}}'


def spot_row(spelling: Spelling, fill: Trade, tick_id: int, *, id_key: str) -> str:
    """One spot trade; `id_key` is tradeId on the socket, trade-id over REST."""
    head = f'{{"id":{tick_id}{fill.trade_id % 10**15:015d},"ts":{fill.time_us // 1000},"{id_key}":{fill.trade_id},'
    side = "buy" if fill.buy else "sell"
    return f'{head}"amount":{spelling.amount_double(fill.amount)},"price":{spelling.price_double(fill.price)},"direction":"{side}"}}'


def swap_row(spelling: Spelling, fill: Trade, number: int) -> str:
    """One trade of a contract."""
    turnover = spelling.turnover(fill.price, fill.amount)
    return (
        f'{{"amount":{fill.amount},"quantity":{spelling.base_units(fill.amount)},"trade_turnover":{turnover},'
        f'"ts":{fill.time_us // 1000},"id":{number},"price":{spelling.price(fill.price)},"direction":"{"buy" if fill.buy else "sell"}"}}'
    )


def swap_ids(fills: Sequence[Trade]) -> list[int]:
    """Ids of a contract's trades: the order's own number, then four digits that count its fills."""
    return [fills[0].trade_id * 10_000 + place for place in range(len(fills))]


def trade_group(spelling: Spelling, fills: Sequence[Trade], *, id_key: str) -> str:
    """The fills of one order as the venue groups them: newest first on spot, in their order for contracts."""
    first = fills[0]
    if spelling.spot:
        rows = [spot_row(spelling, fill, first.trade_id, id_key=id_key) for fill in reversed(fills)]
    else:
        rows = [swap_row(spelling, fill, number) for fill, number in zip(fills, swap_ids(fills), strict=True)]
    return f'{{"id":{first.trade_id},"ts":{first.time_us // 1000},"data":[{",".join(rows)}]}}'


def trades(spelling: Spelling, fills: Sequence[Trade], now_us: int) -> str:
    """One order's fills on `trade.detail`."""
    group = trade_group(spelling, fills, id_key="tradeId")
    return f'{{"ch":"market.{spelling.native}.trade.detail","ts":{now_us // 1000},"tick":{group}}}'


def mbp(
    spelling: Spelling, depth: int, *, bids: list[tuple[int, int]], asks: list[tuple[int, int]], first: int, last: int, now_us: int
) -> str:
    """An mbp update: `last` is its number, `first` that of the update before it; a side without changes is left out."""
    sides = "".join(f',"{name}":{spelling.levels(side)}' for name, side in (("asks", asks), ("bids", bids)) if side)
    return f'{{"ch":"market.{spelling.native}.mbp.{depth}","ts":{now_us // 1000},"tick":{{"seqNum":{last},"prevSeqNum":{first}{sides}}}}}'


def mbp_snapshot(
    spelling: Spelling,
    depth: int,
    *,
    bids: list[tuple[int, int]],
    asks: list[tuple[int, int]],
    sequence: int,
    identity: str,
    now_us: int,
) -> str:
    """The answer to a `req` for an mbp book."""
    return (
        f'{{"id":{identity},"status":"ok","ts":{now_us // 1000},"rep":"market.{spelling.native}.mbp.{depth}",'
        f'"data":{{"bids":{spelling.levels(bids)},"asks":{spelling.levels(asks)},"seqNum":{sequence}}}}}'
    )


def high_freq(
    spelling: Spelling,
    depth: int,
    *,
    event: str,
    bids: list[tuple[int, int]],
    asks: list[tuple[int, int]],
    engine_id: int,
    time_us: int,
) -> tuple[str, str]:
    """A high_freq frame before and after its version, which every socket counts for itself; `event` is snapshot or update."""
    channel, ms = f"market.{spelling.native}.depth.size_{depth}.high_freq", time_us // 1000
    head = (
        f'{{"ch":"{channel}","tick":{{"asks":{spelling.levels(asks)},"bids":{spelling.levels(bids)},"ch":"{channel}",'
        f'"event":"{event}","id":{engine_id},"mrid":{engine_id},"ts":{ms},"version":'
    )
    return head, f'}},"ts":{ms}}}'


def step0(
    spelling: Spelling, *, bids: list[tuple[int, int]], asks: list[tuple[int, int]], engine_id: int, time_us: int, now_us: int
) -> str:
    """A whole book once a second; on contracts `mrid` is the engine's number and `version` the second."""
    sides, ms = f'"bids":{spelling.levels(bids)},"asks":{spelling.levels(asks)}', time_us // 1000
    channel = f"market.{spelling.native}.depth.step0"
    if spelling.spot:
        tick = f'{{{sides},"version":{engine_id},"ts":{ms}}}'
    else:
        second = time_us // 1_000_000
        tick = f'{{"mrid":{engine_id},"id":{second},{sides},"ts":{ms},"version":{second},"ch":"{channel}"}}'
    return f'{{"ch":"{channel}","ts":{now_us // 1000},"tick":{tick}}}'


def basis(spelling: Spelling, kind: str, *, index: float, contract: str, now_us: int) -> str:
    """`basis.1min.open` or `.close`: the index price beside the contract's."""
    shown = f"{index:.8g}"
    spread = float(contract) - float(shown)
    return (
        f'{{"ch":"market.{spelling.native}.basis.1min.{kind}","ts":{now_us // 1000},"tick":{{"id":{now_us // 60_000_000 * 60},'
        f'"index_price":"{shown}","contract_price":"{contract}","basis":"{spread:.8g}","basis_rate":"{spread / index:.20f}"}}}}'
    )


def mark_price(spelling: Spelling, *, mark: float, now_us: int) -> str:
    """`mark_price.1min`, shaped like a candle with numbers as text (no recording; after the notes)."""
    price = f"{mark:.{spelling.instrument.tick_decimals}f}"
    return (
        f'{{"ch":"market.{spelling.native}.mark_price.1min","ts":{now_us // 1000},"tick":{{"id":{now_us // 60_000_000 * 60},'
        f'"open":"{price}","close":"{price}","low":"{price}","high":"{price}","amount":"0","vol":"0","count":"0","trade_turnover":"0"}}}}'
    )


def funding_row(spelling: Spelling, now_us: int) -> str:
    """The running rate of one contract; the next settlement is the next multiple of eight hours."""
    ms = now_us // 1000
    minute = ms // 60_000 * 60_000
    settlement = (ms // FUNDING_INTERVAL_MS + 1) * FUNDING_INTERVAL_MS
    item = spelling.instrument
    return (
        f'{{"symbol":"{item.base}","contract_code":"{spelling.native}","fee_asset":"{item.quote}","funding_time":"{minute}",'
        f'"funding_rate":"{FUNDING_RATE:.18f}","estimated_rate":"{FUNDING_RATE * 1.2:.18f}","settlement_time":"{settlement}"}}'
    )


def liquidation_row(spelling: Spelling, fills: Sequence[Trade]) -> str:
    """A forced order: its side, its contracts at its limit price."""
    first, lots, item = fills[0], sum(fill.amount for fill in fills), spelling.instrument
    return (
        f'{{"symbol":"{item.base}","contract_code":"{spelling.native}","direction":"{"buy" if first.buy else "sell"}","offset":"close",'
        f'"volume":{lots},"price":{spelling.price(first.price)},"created_at":{first.time_us // 1000},'
        f'"amount":{spelling.base_units(lots)},"trade_turnover":{spelling.turnover(first.price, lots)}}}'
    )


def notification(topic: str, rows: str, now_us: int, *, event: str = "") -> str:
    """Rows (JSON text, comma separated) on a topic of the notification socket."""
    said = f'"event":"{event}",' if event else ""
    return f'{{"op":"notify","topic":"{topic}","ts":{now_us // 1000},{said}"data":[{rows}]}}'
