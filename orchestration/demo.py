"""The demo: the whole house on a simulated market, once through with a verdict, or until Ctrl-C.

Put here: the order of the steps and what is printed. Keep out: the steps themselves (collectors, simulator, Dagster, lake).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from lake.catalog import publish
from lake.layout import ensure
from lake.paths import Home, Hour
from lake.settings import LakeSettings
from lake.verify import verify
from orchestration.errors import ChildFailed, NotADemoHome
from orchestration.simulation import LiveMarket, land_history, live_market, outside_environment, write_config
from orchestration.summary import CONDITIONS, LATEST_CANDLES, LATEST_SPREADS, ROWS, print_query, print_rows

SYMBOLS: Final[Mapping[str, tuple[str, ...]]] = {
    "binance": ("BTC/USDT", "ETH/USDT", "SOL/USDT", "BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"),
    "bybit": ("BTC/USDT", "ETH/USDT", "SOL/USDT"),
    "kraken": ("BTC/USD", "BTC/USDT", "ETH/USD", "SOL/USD"),
}
if TYPE_CHECKING:
    import dagster as dg

MARKER: Final = "demo-home"
ROLL_SECONDS: Final = 5.0
"""The demo rolls its log more often than a real lake, so that plain DuckDB sees the live market at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lap:
    """One step of the run-through: what it was, whether it held, and its figures."""

    name: str
    held: bool
    figures: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """The demo on one home directory; `hours` of past market are laid down first."""

    root: Path
    hours: float
    timescale: str | None = None
    """Address of a database that `once` copies everything to."""

    @property
    def settings(self) -> LakeSettings:
        """The lake's settings of the demo home."""
        return LakeSettings(home=self.root, roll_seconds=ROLL_SECONDS)

    @property
    def house(self) -> Home:
        """The demo's home."""
        return self.settings.house

    def once(self, *, live_seconds: float) -> int:
        """Lay down the past, live for a while, materialise and check everything; 0 if all of it held."""
        from orchestration.run import materialize_range

        console = Console(width=None if sys.stdout.isatty() else 150)
        laps: list[Lap] = []
        self._clear()
        self._lay_past(console, laps)
        first, last = self._span()
        with live_market(arguments=self._market_arguments()) as market, self._collector(market) as collector:
            console.print(
                f"Live market on {next(iter(market.endpoints['binance'].values()))}, collecting for at least {live_seconds:g} s ..."
            )
            ends = time.monotonic() + live_seconds
            begun = time.monotonic()
            run = materialize_range(self.settings, None, first, last)
            laps.append(Lap(name="materialise the past", held=run.success, figures=run.sentence, seconds=time.monotonic() - begun))
            self._take_coins(market, laps)
            time.sleep(max(0.0, ends - time.monotonic()))
            begun = time.monotonic()
            collector.send_signal(signal.SIGTERM)
            code = collector.wait(timeout=60)
        laps.append(
            Lap(
                name="collect live, drain, seal",
                held=code == 0,
                figures=f"exit code {code}",
                seconds=time.monotonic() - begun + live_seconds,
            )
        )
        time.sleep(self.settings.visible_after_seconds)
        begun = time.monotonic()
        tail = materialize_range(self.settings, None, Hour.of(last.start - 1), Hour.of(time.time_ns() // 1000))
        laps.append(Lap(name="materialise the open hour", held=tail.success, figures=tail.sentence, seconds=time.monotonic() - begun))
        self._settle(laps)
        publish(self.house)
        self._verify(laps)
        self._copy(console, laps)
        self._show(console)
        print_query(self.house, console, "Coverage of trades, by hour", CONDITIONS)
        return _verdict(console, laps)

    def run(self, *, port: int) -> int:
        """Lay down the past if there is none yet, start everything, show it, go on until Ctrl-C."""
        from orchestration.house import run_house
        from orchestration.run import materialize_range

        console = Console(width=None if sys.stdout.isatty() else 150)
        if not (self.root / MARKER).exists():
            self._clear()
            self._lay_past(console, [])
        config = self.root / "tickhouse.toml"
        with live_market(arguments=self._market_arguments()) as market:
            write_config(config, market, SYMBOLS)
            # Read by Dagster's processes, which inherit it: nothing of a demo is asked of the world.
            os.environ.update(outside_environment(market))

            def ready(url: str, instance: dg.DagsterInstance) -> None:
                first, last = self._span()
                self._show(console)
                self._invite(console, url)
                console.print("\nMaterialising the past as one run; until then candles are computed from the trades on the fly ...")
                console.print(materialize_range(self.settings, None, first, last, instance=instance).sentence)
                print_query(self.house, console, "Coverage of trades, by hour", CONDITIONS)

            return run_house(self.settings, config, port=port, ready=ready)

    def _market_arguments(self) -> list[str]:
        return ["--seed", "1"]

    def _clear(self) -> None:
        if self.root.exists() and any(self.root.iterdir()):
            if not (self.root / MARKER).exists():
                raise NotADemoHome(self.root)
            shutil.rmtree(self.root)
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / MARKER).write_text("This directory belongs to the demo, which deletes it when it starts anew.\n")
        ensure(self.house)
        publish(self.house)

    def _lay_past(self, console: Console, laps: list[Lap]) -> None:
        console.print(f"Laying down {self.hours:g} simulated hours ...")
        pace = [*self._market_arguments(), "--exchanges", ",".join(SYMBOLS), "--trades-per-minute", "15", "--book-updates-per-minute", "6"]
        landed = land_history(self.settings, hours=self.hours, end=datetime.now(UTC), arguments=pace)
        console.print(landed.sentence)
        laps.append(Lap(name="lay down the past", held=landed.lines > 0, figures=landed.sentence, seconds=landed.seconds))
        time.sleep(self.settings.visible_after_seconds)

    def _span(self) -> tuple[Hour, Hour]:
        now = Hour.of(time.time_ns() // 1000)
        return Hour.of(now.start - int(self.hours * 3_600_000_000)), now

    @contextmanager
    def _collector(self, market: LiveMarket) -> Iterator[subprocess.Popen[bytes]]:
        config = self.root / "tickhouse.toml"
        write_config(config, market, SYMBOLS)
        log = (self.root / "collector.log").open("ab")
        command = [sys.executable, "-m", "collectors", "--home", str(self.root), "--config", str(config), "--collector", "live"]
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            log.close()
        if process.returncode != 0:
            raise ChildFailed("collector", process.returncode)

    def _take_coins(self, market: LiveMarket, laps: list[Lap]) -> None:
        """A snapshot of the largest coins, asked of the simulated market."""
        import dagster as dg

        from orchestration.context import COINS
        from orchestration.definitions import build

        begun = time.monotonic()
        # Read by the settings of sources: nothing of a demo is asked of the world.
        os.environ.update(outside_environment(market))
        job = build(lake=self.settings).resolve_job_def(f"fetch_{COINS}")
        with dg.DagsterInstance.ephemeral() as instance:
            quiet = {"loggers": {"console": {"config": {"log_level": "WARNING"}}}}
            today = f"{datetime.now(UTC):%Y-%m-%d}"
            done = job.execute_in_process(instance=instance, partition_key=today, run_config=quiet, raise_on_error=False)
        checks = done.get_asset_check_evaluations()
        held = done.success and all(check.passed for check in checks)
        figures = "; ".join(check.description or "" for check in checks if check.check_name == "complete")
        laps.append(Lap(name="take a snapshot of coins", held=held, figures=figures, seconds=time.monotonic() - begun))

    def _copy(self, console: Console, laps: list[Lap]) -> None:
        """Copy everything to the database that was named, and ask it what people ask."""
        if self.timescale is None:
            return
        from lake.timescale.settings import timescale_settings
        from orchestration.timescale import QUESTIONS, ask, copy_lake

        settings = timescale_settings(timescale_dsn=self.timescale)
        copied = copy_lake(self.house, settings)
        laps.append(Lap(name="copy to TimescaleDB", held=not copied.differences, figures=copied.sentence, seconds=copied.seconds))
        for what, statement in QUESTIONS.items():
            begun = time.monotonic()
            rows = ask(settings, statement)
            print_rows(console, f"TimescaleDB: {what}", rows[:3])
            laps.append(Lap(name=what, held=bool(rows), figures=f"{len(rows)} rows", seconds=time.monotonic() - begun))

    def _settle(self, laps: list[Lap]) -> None:
        from orchestration.upkeep import settle_days

        begun = time.monotonic()
        settled = settle_days(self.settings)
        laps.append(Lap(name="settle days", held=not settled.problems, figures=settled.sentence, seconds=time.monotonic() - begun))

    def _verify(self, laps: list[Lap]) -> None:
        begun = time.monotonic()
        report = verify(self.house)
        figures = f"{report.files:,} files, {report.rows:,} rows"
        if report.problems:
            figures += "; " + "; ".join(problem.sentence for problem in report.problems[:5])
        laps.append(Lap(name="verify", held=not report.problems, figures=figures, seconds=time.monotonic() - begun))

    def _show(self, console: Console) -> None:
        print_query(self.house, console, "Latest candles", LATEST_CANDLES)
        print_query(self.house, console, "Latest book spreads", LATEST_SPREADS)
        print_query(self.house, console, "What the lake holds", ROWS)

    def _invite(self, console: Console, url: str) -> None:
        console.print(f"\nDagster UI:  [bold]{url}[/bold]")
        query = "select * from candles where timeframe = '1m' order by timestamp desc limit 5"
        console.print(f'Try:         .venv/bin/tickhouse sql --home {self.root} "{query}"', highlight=False, soft_wrap=True)
        console.print(f"             .venv/bin/tickhouse status --home {self.root}", highlight=False)
        console.print(f"Plain DuckDB: duckdb -readonly {self.root}/lake.duckdb", highlight=False)
        console.print("Ctrl-C ends the demo; `make demo` goes on from what has landed.")


def _verdict(console: Console, laps: list[Lap]) -> int:
    table = Table("step", "held", "seconds", "figures", title="Demo, once through", title_justify="left")
    for lap in laps:
        table.add_row(lap.name, "[green]yes[/green]" if lap.held else "[red]NO[/red]", f"{lap.seconds:.1f}", lap.figures)
    console.print(table)
    held = all(lap.held for lap in laps)
    console.print("Everything held." if held else "[red]Not everything held.[/red]")
    return 0 if held else 1
