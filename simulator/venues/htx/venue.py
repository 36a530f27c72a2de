"""HTX as the server sees it: which topic is served on which path, notifications, REST dispatch.

What belongs here: paths, who gets what. What does not: texts (frames.py, rest.py), commands (session.py), books in step (feed.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from simulator.instruments import Instrument
from simulator.market import Changes, Market, Trade
from simulator.streams import Socket, Stream
from simulator.venues.base import Answer, Pace, Session, Venue
from simulator.venues.htx import frames, rest
from simulator.venues.htx.catalogue import LINEAR, NAME, SPOT
from simulator.venues.htx.feed import Asked, Depth, Feed
from simulator.venues.htx.session import HtxSession, MarketSession, NotificationSession

GENERAL, FEED, SWAP, NOTIFICATION, INDEX = (
    "/spot/ws",
    "/spot/feed",
    "/linear/linear-swap-ws",
    "/linear/linear-swap-notification",
    "/linear/ws_index",
)
# Path -> how the topics it serves begin, after the symbol.
PATHS: Mapping[str, tuple[str, ...]] = {
    GENERAL: ("trade.detail", "depth.step0"),
    FEED: ("mbp.",),
    SWAP: ("trade.detail", "depth."),
    NOTIFICATION: (),
    INDEX: ("mark_price.", "basis."),
}
NOTIFIED = {"liquidation_orders": "liquidations", "funding_rate": "mark", "contract_info": "instruments"}
FUNDING_EVERY_US = 60_000_000
# The notes name no number; generous enough for any client that asks once a minute for what it misses.
REQUESTS_PER_MINUTE = 1_200
BOOK_FRAMES_PER_S = {SPOT: 10.0, LINEAR: 30.0}


class Htx(Venue):
    """Spot pairs and USDT-margined swaps."""

    name = NAME
    endpoints: Mapping[str, tuple[str, str]] = {
        "spot_ws": ("/spot", "wss://api.htx.com"),
        "spot_rest": ("/spot", "https://api.htx.com"),
        "linear_ws": ("/linear", "wss://api.hbdm.com"),
        "linear_rest": ("/linear", "https://api.hbdm.com"),
    }
    weights: Mapping[str, int] = {SPOT: REQUESTS_PER_MINUTE, LINEAR: REQUESTS_PER_MINUTE}

    def prepare(self) -> None:
        self.feeds = {market.instrument: Feed(market, hub=self.hub) for market in self.markets}
        self._by_name = {feed.spelling.native: feed for feed in self.feeds.values()}
        self._swaps = [feed for feed in self.feeds.values() if not feed.spelling.spot]
        self._notified: dict[str, Stream] = {}
        for kind, channel in NOTIFIED.items():
            self._notified[f"*.{kind}"] = Stream(kind, exchange=NAME, market=LINEAR, symbol="*", channel=channel)
            for feed in self._swaps:
                symbol = feed.market.instrument.symbol
                self._notified[f"{feed.spelling.native}.{kind}"] = Stream(
                    kind, exchange=NAME, market=LINEAR, symbol=symbol, channel=channel
                )
        self._sessions: dict[Socket, HtxSession] = {}
        self._paths: dict[Socket, str] = {}
        self._minute = 0

    def connect(self, path: str, query: str, socket: Socket) -> Session | None:
        del query
        path = path.rstrip("/")
        if path not in PATHS:
            return None
        socket.market = path.split("/")[1]
        session = NotificationSession(socket, self) if path == NOTIFICATION else MarketSession(socket, self, spot=socket.market == SPOT)
        if socket.identity:
            self._sessions[socket], self._paths[socket] = session, path
        return session

    def subscribe(self, socket: Socket, topic: str, message: dict[str, Any], now_us: int) -> str | None:
        """Let a socket listen to a topic; why not, where it cannot."""
        path = self._paths[socket]
        if path == NOTIFICATION:
            stream = self._notified.get(topic.removeprefix("public."))
            if stream is None:
                return f"invalid topic {topic}"
            self.hub.attach(socket, stream)
            return None
        feed, name = self._topic(topic)
        served = PATHS[path]
        if not name.startswith(served):
            return f"invalid topic {topic}"
        if feed is None or name not in feed.streams:
            head, _, rest_of_name = name.partition(".")
            return f"invalid {name if head != 'mbp' else f'mbp.{rest_of_name}'}.symbol {topic.split('.')[1] if '.' in topic else topic}"
        depth = self._depth(feed, name)
        if name.endswith(".high_freq"):
            if message.get("data_type") != "incremental":
                return "invalid data_type"
            assert depth is not None
            late = max(self.snapshot_delay(feed.market, now_us), self._silent(depth.stream, now_us))
            feed.ask(depth, Asked(socket, "", now_us + int(late * 1e6)), stale=None)
            return None
        if depth is not None:
            depth.open()
        self.hub.attach(socket, feed.streams[name])
        return None

    def started(self, socket: Socket, topic: str, *, acknowledged: bool, now_us: int) -> None:
        """The last trades, which follow the acknowledgement on spot and come before it on swaps; funding and contracts as they are."""
        if self._paths[socket] == NOTIFICATION:
            kind = topic.rpartition(".")[2]
            code = topic.removeprefix("public.").removesuffix(f".{kind}")
            feeds = [feed for feed in self._swaps if code in {"*", feed.spelling.native}]
            if kind == "funding_rate":
                rows = ",".join([frames.funding_row(feed.spelling, now_us) for feed in feeds])
                socket.send(frames.packed(frames.notification(topic, rows, now_us)))
            elif kind == "contract_info":
                rows = ",".join([rest.contract_row(feed.market.instrument) for feed in feeds])
                socket.send(frames.packed(frames.notification(topic, rows, now_us, event="init")))
            return
        feed, name = self._topic(topic)
        if feed is None or name != "trade.detail" or acknowledged != feed.spelling.spot:
            return
        if feed.groups and not self._silent(feed.trade_stream, now_us):
            last = feed.groups[-1]
            socket.send(frames.packed(frames.trades(feed.spelling, last, last[0].time_us + 2_000)))

    def unsubscribe(self, socket: Socket, topic: str) -> None:
        """A socket listens to a topic no more."""
        if self._paths[socket] == NOTIFICATION:
            self.hub.detach(socket, self._notified[topic.removeprefix("public.")])
            return
        feed, name = self._topic(topic)
        assert feed is not None
        self.hub.detach(socket, feed.streams[name])
        depth = self._depth(feed, name)
        if depth is not None:
            feed.leave(socket, depth)

    def request(self, socket: Socket, topic: str, identity: str, now_us: int) -> str | None:
        """Give a client the snapshot of an mbp book between two updates; why not, where it cannot be had."""
        feed, name = self._topic(topic)
        depth = None if feed is None else self._depth(feed, name)
        if feed is None or depth is None or self._paths[socket] != FEED or not name.startswith("mbp."):
            return f"invalid {name}.symbol {topic.split('.')[1] if '.' in topic else topic}"
        image, late = self.snapshot(feed.market, now_us)
        stale = image if image is feed.market.opening else None
        if stale is not None and late:
            self.later(now_us + int(late * 1e6), lambda: feed.ask(depth, Asked(socket, identity, now_us), stale=stale))
            return None
        feed.ask(depth, Asked(socket, identity, now_us + int(late * 1e6)), stale=stale)
        return None

    def _silent(self, stream: Stream, now_us: int) -> float:
        """Seconds for which a fault keeps a stream from saying anything, also what a subscription begins with."""
        ends = [
            fault.end_us for fault in self.faults.active if fault.kind == "stall" and fault.matches(NAME, stream.symbol, stream.channel)
        ]
        return max(0.0, (max(ends, default=0) - now_us) / 1e6)

    def _topic(self, topic: str) -> tuple[Feed | None, str]:
        """`market.btcusdt.mbp.150` as a market and `mbp.150`."""
        head, _, rest_of_topic = topic.partition(".")
        native, _, name = rest_of_topic.partition(".")
        return (self._by_name.get(native) if head == "market" else None), name

    @staticmethod
    def _depth(feed: Feed, name: str) -> Depth | None:
        size = name.removeprefix("mbp.").removeprefix("depth.size_").removesuffix(".high_freq")
        if not size.isdigit():
            return None
        return (feed.mbp if feed.spelling.spot else feed.high_freq).get(int(size))

    def rest(self, path: str, params: Mapping[str, str], now_us: int) -> Answer | None:
        market, _, call = path[1:].partition("/")
        if market not in self.limits:
            return None
        feed = self._by_name.get(params.get("symbol" if market == SPOT else "contract_code", ""))
        if feed is not None and feed.market.instrument.market != market:
            feed = None
        wait = self.throttled(market, now_us, symbol=feed.market.instrument.symbol if feed else "*")
        if wait:
            body = f'{{"status":"error","err-code":"too-many-request","err-msg":"Too Many Request","ts":{now_us // 1000}}}'
            return Answer(429, body, headers={"Retry-After": str(wait)})
        try:
            return self._spot(call, feed, params, now_us) if market == SPOT else self._linear(call, feed, params, now_us)
        except ValueError:
            return rest.failed("invalid-parameter", "invalid parameter", now_us)

    def _spot(self, call: str, feed: Feed | None, params: Mapping[str, str], now_us: int) -> Answer | None:
        if call == "v1/common/symbols":
            return Answer(200, rest.symbols(item for item in self.listed if item.market == SPOT))
        if call == "v1/common/timestamp":
            return Answer(200, json.dumps({"status": "ok", "data": now_us // 1000}))
        return self._market(call.removeprefix("market/"), feed, params, now_us) if call.startswith("market/") else None

    def _linear(self, call: str, feed: Feed | None, params: Mapping[str, str], now_us: int) -> Answer | None:
        if call.startswith("linear-swap-ex/market/"):
            return self._market(call.removeprefix("linear-swap-ex/market/"), feed, params, now_us)
        if call == "linear-swap-api/v1/swap_contract_info":
            return rest.contracts((item for item in self.listed if item.market == LINEAR), params, now_us)
        if call not in {"linear-swap-api/v1/swap_open_interest", "linear-swap-api/v1/swap_batch_funding_rate"}:
            return None
        if "contract_code" in params and feed is None:
            return rest.no_contract(now_us)
        feeds = self._swaps if feed is None else [feed]
        return rest.open_interest(feeds, now_us) if call.endswith("open_interest") else rest.funding_rates(feeds, now_us)

    def _market(self, call: str, feed: Feed | None, params: Mapping[str, str], now_us: int) -> Answer | None:
        if call not in {"history/trade", "history/kline", "depth"}:
            return None
        if feed is None:
            return rest.invalid_symbol(now_us)
        if call == "history/trade":
            return rest.trade_history(feed, params, now_us)
        if call == "history/kline":
            return rest.klines(feed, params, now_us)
        image, late = self.snapshot(feed.market, now_us)
        answer = rest.depth(feed, image, params, now_us)
        answer.delay_s = late
        return answer

    def acknowledge(self, text: str, now_us: int) -> list[str]:
        message: Any = json.loads(text)
        if message.get("op") in {"sub", "unsub"}:
            names = json.dumps(message.get("topic")), json.dumps(message.get("cid"))
            return [frames.notification_answer(message["op"], names[0], cid=names[1], now_us=now_us)]
        verb = next((verb for verb in ("sub", "unsub") if verb in message), None)
        if verb is None:
            return []
        topic, identity = str(message[verb]), json.dumps(message.get("id"))
        native = topic.split(".")[1] if "." in topic else ""
        return [frames.subscribed(topic, verb=f"{verb}bed", identity=identity, spot=native.islower(), now_us=now_us)]

    def pace(self, instrument: Instrument, messages_per_s: float) -> Pace:
        book = min(BOOK_FRAMES_PER_S[instrument.market], messages_per_s / 2)
        return Pace(messages_per_s - book, book)

    def trades(self, market: Market, fills: list[Trade]) -> list[bool]:
        return self.feeds[market.instrument].trades(fills)

    def changes(self, market: Market, changes: Changes) -> None:
        self.feeds[market.instrument].changes(changes)

    def clock(self, now_us: int) -> None:
        for feed in self.feeds.values():
            feed.clock(now_us)
        if now_us // FUNDING_EVERY_US != self._minute:
            self._minute = now_us // FUNDING_EVERY_US
            self._funding(now_us)
        for socket, session in list(self._sessions.items()):
            if socket not in self.hub.sockets:
                del self._sessions[socket], self._paths[socket]
                continue
            session.beat(now_us)

    def _funding(self, now_us: int) -> None:
        rows = [(feed.spelling.native, frames.funding_row(feed.spelling, now_us)) for feed in self._swaps]
        for code, row in (*rows, ("*", ",".join(row for _, row in rows))):
            self._notify(f"{code}.funding_rate", row, now_us)

    def _notify(self, topic: str, rows: str, now_us: int) -> bool:
        stream = self._notified[topic]
        return stream.wanted and self.hub.publish(stream, frames.packed(frames.notification(f"public.{topic}", rows, now_us)))

    def wire_ids(self, market: Market, fills: list[Trade]) -> list[str]:
        if market.instrument.market == SPOT:
            return super().wire_ids(market, fills)
        return [str(number) for number in frames.swap_ids(fills)]

    def restart_sequence(self, market: Market, now_us: int) -> None:
        super().restart_sequence(market, now_us)
        self.feeds[market.instrument].restart_versions()

    def liquidation(self, market: Market, fills: list[Trade], now_us: int) -> bool | None:
        feed = self.feeds[market.instrument]
        if feed.spelling.spot:
            return None
        row = frames.liquidation_row(feed.spelling, fills)
        return self._notify(f"{feed.spelling.native}.liquidation_orders", row, now_us) | self._notify("*.liquidation_orders", row, now_us)
