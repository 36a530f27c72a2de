"""Binance's WebSocket payloads as text, field order as on the wire.

What belongs here: one function per message type, from model values to JSON text. What does not: who receives it.
Times are unix milliseconds.
"""

from __future__ import annotations

from simulator.market import Changes, Trade
from simulator.venues.binance.catalogue import Spelling


def spot_trade(spelling: Spelling, fill: Trade, event_ms: int) -> str:
    """A raw spot fill; m says that the buyer was the maker."""
    return (
        f'{{"e":"trade","E":{event_ms},"s":"{spelling.upper}","t":{fill.trade_id},"p":"{spelling.price(fill.price)}",'
        f'"q":"{spelling.amount(fill.amount)}","T":{fill.time_us // 1000},"m":{"false" if fill.buy else "true"},"M":true}}'
    )


def usdm_trade(spelling: Spelling, fill: Trade, event_ms: int, *, kind: str = "MARKET") -> str:
    """A raw futures fill; `kind` other than MARKET or RPI is an off-book fill that no chart should show."""
    return (
        f'{{"e":"trade","E":{event_ms},"T":{fill.time_us // 1000},"s":"{spelling.upper}","t":{fill.trade_id},'
        f'"p":"{spelling.price(fill.price)}","q":"{spelling.amount(fill.amount)}","X":"{kind}","m":{"false" if fill.buy else "true"}}}'
    )


def aggregates(fills: list[Trade]) -> list[tuple[Trade, int, int]]:
    """Fills of one order merged by price: (fill with the summed amount, first raw id, last raw id)."""
    merged: list[tuple[Trade, int, int]] = []
    for fill in fills:
        if merged and merged[-1][0].aggregate_id == fill.aggregate_id:
            whole, first, _ = merged[-1]
            merged[-1] = (whole._replace(amount=whole.amount + fill.amount), first, fill.trade_id)
        else:
            merged.append((fill, fill.trade_id, fill.trade_id))
    return merged


def spot_aggregate(spelling: Spelling, merged: tuple[Trade, int, int], event_ms: int) -> str:
    """Spot fills of one order at one price."""
    fill, first, last = merged
    return (
        f'{{"e":"aggTrade","E":{event_ms},"s":"{spelling.upper}","a":{fill.aggregate_id},"p":"{spelling.price(fill.price)}",'
        f'"q":"{spelling.amount(fill.amount)}","f":{first},"l":{last},"T":{fill.time_us // 1000},'
        f'"m":{"false" if fill.buy else "true"},"M":true}}'
    )


def usdm_aggregate(spelling: Spelling, merged: tuple[Trade, int, int], event_ms: int) -> str:
    """Futures fills of one order at one price; nq leaves out retail price improvement, of which there is none here."""
    fill, first, last = merged
    amount = spelling.amount(fill.amount)
    return (
        f'{{"e":"aggTrade","E":{event_ms},"a":{fill.aggregate_id},"s":"{spelling.upper}","p":"{spelling.price(fill.price)}","q":"{amount}",'
        f'"nq":"{amount}","f":{first},"l":{last},"T":{fill.time_us // 1000},"m":{"false" if fill.buy else "true"}}}'
    )


def spot_depth(spelling: Spelling, changes: Changes, event_ms: int) -> str:
    """Levels that changed; U is the number after the previous frame's u."""
    return (
        f'{{"e":"depthUpdate","E":{event_ms},"s":"{spelling.upper}","U":{changes.first},"u":{changes.last},'
        f'"b":{spelling.levels(sorted(changes.bids.items(), reverse=True))},"a":{spelling.levels(sorted(changes.asks.items()))}}}'
    )


def usdm_depth(spelling: Spelling, changes: Changes, event_ms: int) -> str:
    """Levels that changed; pu is the previous frame's u, U may lie further on."""
    return (
        f'{{"e":"depthUpdate","E":{event_ms},"T":{changes.time_us // 1000},"s":"{spelling.upper}","U":{changes.first},"u":{changes.last},'
        f'"pu":{changes.previous},"b":{spelling.levels(sorted(changes.bids.items()))},"a":{spelling.levels(sorted(changes.asks.items()))}}}'
    )


def spot_ticker(spelling: Spelling, sequence: int, bid: tuple[int, int], ask: tuple[int, int]) -> str:
    """Best bid and ask, each (ticks, lots)."""
    return (
        f'{{"u":{sequence},"s":"{spelling.upper}","b":"{spelling.price(bid[0])}","B":"{spelling.amount(bid[1])}",'
        f'"a":"{spelling.price(ask[0])}","A":"{spelling.amount(ask[1])}"}}'
    )


def usdm_ticker(spelling: Spelling, sequence: int, bid: tuple[int, int], ask: tuple[int, int], *, engine_ms: int, event_ms: int) -> str:
    """Best bid and ask, each (ticks, lots), with the engine's and the sending time."""
    return (
        f'{{"e":"bookTicker","u":{sequence},"s":"{spelling.upper}","b":"{spelling.price(bid[0])}","B":"{spelling.amount(bid[1])}",'
        f'"a":"{spelling.price(ask[0])}","A":"{spelling.amount(ask[1])}","T":{engine_ms},"E":{event_ms}}}'
    )


FUNDING_MS = 8 * 3600 * 1000


def funding_rate(mark: float, index: float) -> float:
    """The rate of the running interval: interest of one basis point plus a capped share of the premium."""
    return max(-0.0075, min(0.0075, 0.0001 + 0.05 * (mark - index) / index))


def mark_price(spelling: Spelling, *, mark: float, index: float, event_ms: int) -> str:
    """Mark and index price in quote currency with the funding that is due next."""
    due = (event_ms // FUNDING_MS + 1) * FUNDING_MS
    return (
        f'{{"e":"markPriceUpdate","E":{event_ms},"s":"{spelling.upper}","p":"{mark:.8f}","P":"{(mark + index) / 2:.8f}","i":"{index:.8f}",'
        f'"r":"{funding_rate(mark, index):.8f}","T":{due}}}'
    )


def forced_amounts(fills: list[Trade]) -> tuple[int, int, int]:
    """Of a forced order: total lots, lots of the last fill, average price in ticks (rounded)."""
    total = sum(fill.amount for fill in fills)
    return total, fills[-1].amount, round(sum(fill.price * fill.amount for fill in fills) / total)


def force_order(spelling: Spelling, fills: list[Trade], event_ms: int) -> str:
    """A liquidation order: its limit lies half a percent beyond the worst fill."""
    total, last, average = forced_amounts(fills)
    amount = spelling.amount(total)
    return (
        f'{{"e":"forceOrder","E":{event_ms},"o":{{"s":"{spelling.upper}","S":"{"BUY" if fills[0].buy else "SELL"}","o":"LIMIT","f":"IOC",'
        f'"q":"{amount}","p":"{spelling.price(limit_price(fills))}","ap":"{spelling.price(average)}","X":"FILLED",'
        f'"l":"{spelling.amount(last)}","z":"{amount}","T":{fills[0].time_us // 1000}}}}}'
    )


def limit_price(fills: list[Trade]) -> int:
    """Limit of a forced order in ticks."""
    worst = fills[-1]
    return worst.price + max(1, worst.price // 200) * (1 if worst.buy else -1)
