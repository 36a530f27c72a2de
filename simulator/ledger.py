"""The record of what really happened: every trade executed and every fault injected, as JSON lines.

What belongs here: buffered writing of trades.jsonl, liquidations.jsonl and faults.jsonl, and counters.
What does not: what a client made of it; comparing is the reader's business.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any

from simulator.faults import Fault
from simulator.instruments import Instrument
from simulator.market import Trade

FLUSH_ROWS = 4_000


class Ledger:
    """Rows per file, written in batches; without a directory only the counters are kept."""

    def __init__(self, directory: Path | None = None) -> None:
        self.trades = 0
        self.delivered = 0
        self.faults = 0
        self.liquidations = 0
        self._rows: dict[str, list[str]] = {"trades": [], "faults": [], "liquidations": []}
        self._files: dict[str, IO[str]] = {}
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
            self._files = {name: (directory / f"{name}.jsonl").open("a", encoding="utf-8") for name in self._rows}

    def trade(self, instrument: Instrument, fills: list[Trade], *, delivered: list[bool], wires: list[str]) -> None:
        """Record the fills of one taker order.

        `delivered` says of each whether a subscribed socket was sent it, `wires` under which id the venue publishes it: the same
        for fills that share a message row, empty where trades carry no id.
        """
        self.trades += len(fills)
        self.delivered += sum(delivered)
        if not self._files:
            return
        rows = self._rows["trades"]
        head = f'{{"exchange":"{instrument.exchange}","market":"{instrument.market}","symbol":"{instrument.symbol}","trade_id":"'
        ticks, lots = 10**instrument.tick_decimals, 10**instrument.lot_decimals
        for fill, sent, wire in zip(fills, delivered, wires, strict=True):
            rows.append(
                f'{head}{fill.trade_id}","aggregate_id":"{fill.aggregate_id}","wire_id":"{wire}","side":"{"buy" if fill.buy else "sell"}",'
                f'"price":{fill.price / ticks!r},"amount":{fill.amount / lots!r},"time_us":{fill.time_us},'
                f'"delivered":{"true" if sent else "false"}}}\n'
            )
        if len(rows) >= FLUSH_ROWS:
            self._write("trades")

    def liquidation(self, instrument: Instrument, *, time_us: int, buy: bool, price: float, amount: float, delivered: bool) -> None:
        """Record one forced order: its limit price and its amount in base units."""
        self.liquidations += 1
        self._add(
            "liquidations",
            {
                "exchange": instrument.exchange,
                "market": instrument.market,
                "symbol": instrument.symbol,
                "side": "buy" if buy else "sell",
                "price": price,
                "amount": amount,
                "time_us": time_us,
                "delivered": delivered,
            },
        )

    def fault(self, fault: Fault, now_us: int) -> None:
        """Record a fault that begins to act; its row is on disk when this returns."""
        self.faults += 1
        self._add(
            "faults",
            {
                "kind": fault.kind,
                "exchange": fault.exchange,
                "symbol": fault.symbol,
                "channel": fault.channel,
                "time_us": now_us,
                "duration_s": fault.duration_s,
            },
        )
        self.flush()

    def _add(self, name: str, row: dict[str, Any]) -> None:
        if self._files:
            self._rows[name].append(json.dumps(row, separators=(",", ":")) + "\n")

    def _write(self, name: str) -> None:
        rows = self._rows[name]
        if rows:
            self._files[name].write("".join(rows))
            rows.clear()

    def flush(self) -> None:
        """Put everything recorded so far where another process can read it."""
        for name, file in self._files.items():
            self._write(name)
            file.flush()

    def close(self) -> None:
        self.flush()
        for file in self._files.values():
            file.close()
        self._files = {}
