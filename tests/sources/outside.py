"""The simulator as the outside world of the clients: real HTTP, their settings pointed at it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sources.settings import ContextSettings
from tests.collectors.simulating import Simulator

EXCHANGES = "binance,bybit,okx,bitget,mexc"
KEY = "CG-secret-of-the-test"


def moved(endpoints: dict[str, dict[str, str]]) -> dict[str, str]:
    """Real addresses, as ccxt knows them, to the simulator's."""
    return {
        "https://api.binance.com": endpoints["binance"]["spot_rest"],
        "https://fapi.binance.com": endpoints["binance"]["usdm_rest"],
        "https://api.bybit.com": endpoints["bybit"]["rest"],
        "https://www.okx.com": endpoints["okx"]["rest"],
        "https://api.bitget.com": endpoints["bitget"]["rest"],
        "https://api.mexc.com": endpoints["mexc"]["spot_rest"],
        "https://api.mexc.com/api/v1/contract": endpoints["mexc"]["perp_rest"] + "/api/v1/contract",
    }


class Outside:
    """A simulator of the five exchanges and both sources."""

    def __init__(self, directory: Path) -> None:
        self.simulator = Simulator(directory, exchanges=EXCHANGES, rate=5.0, arguments=["--symbols", "BTC/USDT,ETH/USDT"])
        self.urls = moved(self.simulator.endpoints)

    def settings(self, **changed: Any) -> ContextSettings:
        """Settings that ask the simulator, fast, with keys."""
        root = f"http://127.0.0.1:{self.simulator.port}"
        given: dict[str, Any] = {
            "candle_urls": ",".join(f"{real}={other}" for real, other in self.urls.items()),
            "candle_exchanges": EXCHANGES,
            "candle_history_days": 1,
            "coingecko_url": f"{root}/coingecko/api/v3",
            "coingecko_api_key": KEY,
            "coingecko_coins": 500,
            "coingecko_pause_seconds": 0.0,
            "coinglass_url": f"{root}/coinglass",
            "coinglass_api_key": KEY,
            "coinglass_history_days": 40,
            "source_retry_seconds": 0.05,
        }
        return ContextSettings(_env_file=None, **{**given, **changed})

    def stop(self) -> None:
        self.simulator.stop()
