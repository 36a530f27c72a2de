"""Playback: recorded sessions over real sockets, frame for frame."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedOK

from simulator.cli import main

SPOT = "binance/spot_multi_depth_aggtrade_20210405.jsonl.gz"
USDM = "binance/usdm_multi_depth_aggtrade_kline_20210722.jsonl.gz"
KRAKEN = "kraken/v2_book_checksum_xrpusd_20260802.jsonl.gz"


def recorded(path: Path) -> list[str]:
    with gzip.open(path, "rt") as file:
        lines = [json.loads(line) for line in file]
    return [line["raw"] for line in lines if line["dir"] == "in" and "kind" not in line]


@pytest.fixture
def played(drain: Any) -> Any:
    """Everything that a socket receives until it is closed with 1000."""

    async def whole(socket: Any) -> list[str]:
        received: list[str] = []
        with pytest.raises(ConnectionClosedOK) as closed:
            await drain(socket, received)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1000
        return received

    return whole


def test_a_spot_recording_arrives_frame_for_frame(recordings: Path, simulate: Any, dial: Any, played: Any) -> None:
    async def run() -> None:
        async with simulate("--playback", str(recordings / SPOT), "--speed", "0") as sim:
            async with dial(sim.url("binance", "spot_ws", "/stream")) as socket:
                await socket.send(json.dumps({"method": "SUBSCRIBE", "params": ["zilusdt@depth@100ms"], "id": 4}))
                received = await played(socket)
            snapshot = await sim.get(sim.url("binance", "spot_rest", "/api/v3/depth?symbol=ZILUSDT&limit=1000"))
            info = await sim.get(sim.url("binance", "spot_rest", "/api/v3/exchangeInfo"))
            playback = (await sim.control("stats"))["playback"]

        expected = recorded(recordings / SPOT)
        received.remove('{"result":null,"id":4}')
        assert received == expected
        assert snapshot.json()["lastUpdateId"] == 499822895
        assert info.json()["symbols"]
        assert playback == {"done": True, "clients": 1, "frames": len(expected)}

    asyncio.run(run())


def test_futures_recordings_are_split_by_todays_paths(recordings: Path, simulate: Any, dial: Any, played: Any) -> None:
    async def run() -> None:
        received: dict[str, list[str]] = {}
        async with simulate("--playback", str(recordings / USDM), "--speed", "0") as sim:
            for path in ("/public/stream", "/market/stream", "/stream"):
                async with dial(sim.url("binance", "usdm_ws", path + "?streams=x")) as socket:
                    received[path] = await played(socket)
            async with dial(sim.url("binance", "usdm_ws", "/market/ws")) as socket:
                await socket.send(json.dumps({"method": "SUBSCRIBE", "params": [], "id": 1}))
                bare = [message for message in await played(socket) if '"result"' not in message]

        def kinds(messages: list[str]) -> set[str]:
            return {json.loads(message)["data"]["e"] for message in messages}

        assert received["/stream"] == recorded(recordings / USDM)
        assert kinds(received["/public/stream"]) == {"depthUpdate", "bookTicker"}
        assert kinds(received["/market/stream"]) == {"aggTrade", "kline"}
        assert len(received["/public/stream"]) + len(received["/market/stream"]) == len(received["/stream"])
        assert [json.loads(message) for message in bare] == [json.loads(message)["data"] for message in received["/market/stream"]]

    asyncio.run(run())


def test_pacing_follows_the_recording(recordings: Path, simulate: Any, dial: Any, played: Any) -> None:
    async def run() -> None:
        async with simulate("--playback", str(recordings / KRAKEN), "--speed", "40", "--exchanges", "kraken") as sim:
            async with dial(sim.url("kraken", "spot_ws")) as socket:
                await socket.send(json.dumps({"method": "subscribe", "params": {"channel": "book", "symbol": ["XRP/USD"]}, "req_id": 5}))
                begin = asyncio.get_running_loop().time()
                received = await played(socket)
                took = asyncio.get_running_loop().time() - begin
            pairs = await sim.get(sim.url("kraken", "spot_rest", "/0/public/AssetPairs"))

        acknowledged = [message for message in received if '"req_id":5' in message]
        assert len(acknowledged) == 1
        assert [message for message in received if '"req_id":5' not in message] == recorded(recordings / KRAKEN)
        assert 0.9 < took < 5.0
        assert pairs.json()["result"]["XXRPZUSD"]["pair_decimals"] == 5

    asyncio.run(run())


def test_a_file_that_is_no_recording_is_refused_with_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text('{"ts": 1}\n')

    assert main(["serve", "--playback", str(path)]) == 2
    assert "line 1 was not a recorded frame: expected" in capsys.readouterr().err
