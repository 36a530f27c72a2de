"""`python -m collectors --home H --config tickhouse.toml [--collector NAME]`: one collector process.

Put here: arguments, signals, exit codes (0 stopped, 1 failed, 2 misconfigured). Keep out: collecting (runtime.py).
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import importlib.util
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from collectors import config, logs, metrics
from collectors.errors import CollectorError, ConfigError
from collectors.registry import VENUES
from collectors.runtime import Collector
from collectors.settings import alert_settings, collector_settings, lake_settings
from lake.alerts.rules import load_rules
from lake.errors import AlertRuleError, LakeError


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """What was asked on the command line; None where the settings decide."""
    parser = argparse.ArgumentParser(prog="python -m collectors", description="Collect what tickhouse.toml asks for into a home.")
    parser.add_argument("--home", type=Path, help="directory of the lake (default: TICKHOUSE_HOME)")
    parser.add_argument("--config", type=Path, help="which markets to collect (default: TICKHOUSE_CONFIG, tickhouse.toml)")
    parser.add_argument("--collector", help="name of this collector, one process a name (default: TICKHOUSE_COLLECTOR, main)")
    parser.add_argument(
        "--record", action="store_true", default=None, help="keep every raw frame under the home (default: TICKHOUSE_RECORD, no)"
    )
    return parser.parse_args(argv)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The event loop of uvloop where that is installed (never on Windows), else the standard one."""
    if importlib.util.find_spec("uvloop") is None:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    return factory


def _tune_garbage_collection() -> None:
    """Rows are tuples that live until the next flush and never form cycles: looking for garbage among them costs a quarter of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


async def collect(collector: Collector) -> None:
    """Run until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, collector.stop)
    await collector.run()


def main(argv: list[str] | None = None) -> int:
    """Run one collector; the exit code."""
    given = {name: value for name, value in vars(arguments(argv)).items() if value is not None}
    try:
        lake = lake_settings(**({"home": given["home"]} if "home" in given else {}))
        settings = collector_settings(**{name: given[name] for name in ("config", "collector", "record") if name in given})
        logs.configure(settings.log_level, settings.log_format)
        markets = config.load(settings.config, VENUES)
        rules = load_rules(alert_settings())
        _tune_garbage_collection()
        host, port = settings.collector_metrics_host, settings.collector_metrics_port
        with metrics.served(lake.house, settings.collector, host=host, port=port), asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(collect(Collector(lake, settings, config=markets, venues=VENUES, rules=rules)))
    except (ConfigError, AlertRuleError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except (CollectorError, LakeError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
