"""Gate.io's WebSocket messages as text, field order as on the wire.

What belongs here: one function per message type. What does not: which client gets it and when.
"""

from __future__ import annotations

from simulator.market import Trade
from simulator.venues.gateio.catalogue import Spelling, plain

UPGRADE = '{"type":"upgrade","msg":"The connection will soon be closed for a service upgrade. Please reconnect."}'


def _head(channel: str, event: str, time_us: int) -> str:
    return f'{{"time":{time_us // 1_000_000},"time_ms":{time_us // 1000},"channel":"{channel}","event":"{event}"'


def spot_trade(spelling: Spelling, fill: Trade) -> str:
    """One trade of a pair: its number among all pairs, its number in the pair, milliseconds as text with decimals."""
    return (
        f'{_head("spot.trades", "update", fill.time_us + 1000)},"result":{{"id":{spelling.global_id(fill.trade_id)},'
        f'"id_market":{fill.trade_id},"create_time":{fill.time_us // 1_000_000},"create_time_ms":"{fill.time_us // 1000}.'
        f'{fill.time_us % 1000:03d}","side":"{"buy" if fill.buy else "sell"}","currency_pair":"{spelling.id}",'
        f'"amount":"{spelling.amount(fill.amount)}","price":"{spelling.price(fill.price)}","range":"{fill.trade_id}-{fill.trade_id}"}}}}'
    )


def futures_trades(spelling: Spelling, fills: list[Trade], *, internal: bool = False) -> str:
    """Trades of a contract; sold contracts are negative. `internal` ones were taken over by the insurance fund, off the book."""
    mark = ',"is_internal":true' if internal else ""
    rows = [
        f'{{"size":"{spelling.amount(fill.amount if fill.buy else -fill.amount)}","id":{fill.trade_id},'
        f'"create_time":{fill.time_us // 1_000_000},"create_time_ms":{fill.time_us // 1000},"price":"{spelling.price(fill.price)}",'
        f'"contract":"{spelling.id}"{mark}}}'
        for fill in fills
    ]
    return f'{_head("futures.trades", "update", fills[0].time_us + 1000)},"result":[{",".join(rows)}]}}'


def whole_book(
    spelling: Spelling, depth: int, *, bids: list[tuple[int, int]], asks: list[tuple[int, int]], sequence: int, time_us: int
) -> str:
    """The book down to a depth, which replaces what a client has."""
    told = f'"s":"ob.{spelling.id}.{depth}","u":{sequence},"b":{spelling.levels(bids)},"a":{spelling.levels(asks)}'
    if spelling.spot:
        result = f'{{"t":{time_us // 1000},"full":true,{told}}}'
        return f'{{"channel":"spot.obu","result":{result},"time_ms":{time_us // 1000 + 3},"event":"update"}}'
    return f'{_head("futures.obu", "update", time_us + 3000)},"result":{{"t":{time_us // 1000},"full":true,{told}}}}}'


def book_change(
    spelling: Spelling, depth: int, *, bids: list[tuple[int, int]], asks: list[tuple[int, int]], first: int, last: int, time_us: int
) -> str:
    """What changed in the book from `first` to `last`; a side that did not change is left out."""
    told = f'"s":"ob.{spelling.id}.{depth}","U":{first},"u":{last}'
    if bids:
        told += f',"b":{spelling.levels(bids)}'
    if asks:
        told += f',"a":{spelling.levels(asks)}'
    if spelling.spot:
        return f'{{"channel":"spot.obu","result":{{"t":{time_us // 1000},{told}}},"time_ms":{time_us // 1000 + 3},"event":"update"}}'
    return f'{_head("futures.obu", "update", time_us + 3000)},"result":{{"t":{time_us // 1000},{told}}}}}'


def ticker(spelling: Spelling, *, last: int, mark: float, index: float, funding: float, open_lots: int, time_us: int) -> str:
    """State of a contract; `last` in ticks, open interest in contracts, prices in quote."""
    price = spelling.price(last)
    decimals = spelling.instrument.tick_decimals
    volume = plain(open_lots * 3, 0)
    head = f'{_head("futures.tickers", "update", time_us)},"result":[{{"contract":"{spelling.id}","last":"{price}"'
    return (
        f'{head},"change_percentage":"-1.3224","total_size":"{spelling.amount(open_lots)}","volume_24h":"{volume}","volume_24h_base":"{volume}","volume_24h_quote":"{volume}",'
        f'"volume_24h_settle":"{volume}","mark_price":"{mark:.{decimals + 1}f}","funding_rate":"{funding:.6f}",'
        f'"funding_rate_indicative":"{funding:.6f}","index_price":"{index:.{decimals + 1}f}","quanto_base_rate":"","low_24h":"{price}",'
        f'"high_24h":"{price}"}}]}}'
    )


def liquidation(spelling: Spelling, *, price: int, lots: int, buy: bool, time_us: int) -> str:
    """A forced order: contracts with the order's sign, its limit price."""
    size = spelling.amount(lots if buy else -lots)
    row = f'{{"price":"{spelling.price(price)}","size":"{size}","time":{time_us // 1000},"contract":"{spelling.id}"}}'
    return f'{_head("futures.public_liquidates", "update", time_us)},"result":[{row}]}}'


def answered(channel: str, event: str, *, identity: str, payload: str, connection: int, time_us: int) -> str:
    """A command was carried out; `identity` is the client's id as JSON text or empty, `payload` JSON text."""
    number = f'"id":{identity},' if identity else ""
    conn = f"{(0xC0DE << 48) + connection:016x}"
    trace = f"{conn}{time_us:016x}"
    error = '"error":null,' if channel.startswith("futures") else ""
    return (
        f'{{"time":{time_us // 1_000_000},"time_ms":{time_us // 1000},{number}"conn_id":"{conn}","trace_id":"{trace}",'
        f'"channel":"{channel}","event":"{event}","payload":{payload},{error}"result":{{"status":"success"}},"requestId":"{trace}"}}'
    )


def refused(channel: str, event: str, *, identity: str, code: int, message: str, time_us: int) -> str:
    """A command was refused as a whole; `channel`, `event` and `message` are JSON text, `identity` as above."""
    number = f'"id":{identity},' if identity else ""
    return (
        f'{{"time":{time_us // 1_000_000},"time_ms":{time_us // 1000},{number}"channel":{channel},"event":{event},'
        f'"error":{{"code":{code},"message":{message}}},"result":null}}'
    )


def pong(prefix: str, *, time_us: int) -> str:
    """The answer to a ping of the client."""
    return f'{{"time":{time_us // 1_000_000},"time_ms":{time_us // 1000},"channel":"{prefix}.pong","event":"","error":null,"result":null}}'
