"""How a table of socket kinds becomes sockets: grouping, limits by symbols and by subscriptions, refusals."""

from __future__ import annotations

import pytest

from collectors.errors import UnknownSymbol
from collectors.sockets import EVERY, SocketKind, plan
from collectors.venue import ConnectionPlan, Instrument, Wanted

SYMBOLS = tuple(f"C{number}/USDT" for number in range(5))
FUTURE = "C0/USDT:USDT"


def instrument(symbol: str, market: str) -> Instrument:
    return Instrument(exchange="venue", symbol=symbol, native=symbol.replace("/", ""), market=market, base=symbol[:2], quote="USDT")


INSTRUMENTS = {symbol: instrument(symbol, "spot") for symbol in SYMBOLS} | {FUTURE: instrument(FUTURE, "perp")}


def planned(kind: SocketKind, channels: tuple[str, ...], symbols: tuple[str, ...] = (*SYMBOLS, FUTURE)) -> list[ConnectionPlan]:
    wanted = Wanted(symbols=symbols, channels=channels)
    return plan([kind], wanted, exchange="venue", instruments=INSTRUMENTS, endpoints={"ws": "wss://venue"})


def test_a_socket_takes_so_many_symbols_in_the_order_wanted_each_once() -> None:
    kind = SocketKind(name="main", market="spot", endpoint="ws", path="/v1", channels=("trades", "book"), symbols=2)

    plans = planned(kind, ("book", "trades"), symbols=(SYMBOLS[3], SYMBOLS[1], SYMBOLS[3], FUTURE, SYMBOLS[0]))

    assert [each.name for each in plans] == ["venue-main-0", "venue-main-1"]
    assert [[one.symbol for one in each.instruments] for each in plans] == [[SYMBOLS[3], SYMBOLS[1]], [SYMBOLS[0]]]
    assert [(one.channel, one.symbol) for one in plans[1].streams] == [("trades", SYMBOLS[0]), ("book", SYMBOLS[0])]
    assert {(each.url, each.market) for each in plans} == {("wss://venue/v1", "spot")}


@pytest.mark.parametrize(("channels", "sockets"), [(("trades",), 1), (("trades", "derivatives"), 3)])
def test_a_limit_of_subscriptions_counts_what_each_channel_takes(channels: tuple[str, ...], sockets: int) -> None:
    kind = SocketKind(
        name="main", market="spot", endpoint="ws", channels=("trades", "derivatives"), subscriptions=6, counts={"derivatives": 2}
    )

    assert len(planned(kind, channels)) == sockets


def test_a_channel_nobody_wants_opens_no_socket() -> None:
    kind = SocketKind(name="main", market="spot", endpoint="ws", channels=("book",), symbols=2)

    assert planned(kind, ("trades",)) == []


def test_a_socket_of_every_symbol_carries_all_markets_at_once() -> None:
    kind = SocketKind(name="liquidations", market="", endpoint="ws", channels=("liquidations",), symbols=EVERY)

    (only,) = planned(kind, ("liquidations",))

    assert [each.symbol for each in only.instruments] == [*SYMBOLS, FUTURE]


def test_an_unknown_symbol_is_refused_with_its_name() -> None:
    kind = SocketKind(name="main", market="spot", endpoint="ws", channels=("book",), symbols=2)

    with pytest.raises(UnknownSymbol, match="XYZ/USDT"):
        planned(kind, ("book",), symbols=("XYZ/USDT",))


@pytest.mark.parametrize(("symbols", "subscriptions"), [(0, 0), (3, 3)])
def test_a_kind_says_one_limit_and_no_more(symbols: int, subscriptions: int) -> None:
    with pytest.raises(ValueError, match="expected one above 0"):
        SocketKind(name="main", market="spot", endpoint="ws", channels=("book",), symbols=symbols, subscriptions=subscriptions)
