"""How soon a forced order is an alert and a message, and what kill -9 does to alerts: simulator, collector, daemon, a pretended Discord.

    python -m benchmarks.alerts [--bursts 20] [--kills 0] [--seed N]

Forces orders at random moments and times two ways from each order's own instant (of the simulator, on this machine): until its alert can be
read from the log, and until Discord has taken the message. With `--kills N` each of collector, daemon and job is then killed N times with
SIGKILL at random moments while orders are forced all the time. Prints one JSON object; exit code 1 where an alert was not delivered, or a
message came twice without the mark.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

import dagster as dg
import psutil

from lake.catalog import publish
from lake.layout import ensure
from lake.query import run_sql
from lake.settings import LakeSettings
from lake.wal import list_segments, read_segment
from orchestration.alerting.jobs import DELIVER_ALERTS, DELIVER_OP
from orchestration.instance import open_instance
from orchestration.processes import Supervisor, collector_program, dagster_programs
from orchestration.settings import OrchestrationSettings
from orchestration.simulation import LiveMarket, live_market, write_config
from simulator.discord import Discord

EXCHANGE: Final = "bybit"
SYMBOLS: Final = ("BTC/USDT:USDT", "ETH/USDT:USDT")
RULES: Final = """
[rules.forced]
kind = "liquidation_volume"
thresholds = { HIGH = 1000.0 }
cooldown_seconds = 0
group_seconds = 0
"""
DRAIN_SECONDS: Final = 900.0
"""An alert whose runs were killed four times waits for eight minutes."""
LONGEST_LIFE_SECONDS: Final = 8.0
LONGEST_RUN_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 0.5
"""How long Discord takes to answer while programs are killed: it widens the window in which a repeat is possible."""
VICTIMS: Final = ("collector", "daemon", "job")
NAMES: Final = {"collector": "collector-live", "daemon": "dagster-daemon"}


@dataclass(slots=True)
class Seen:
    """Alerts as they appear in the log: by id, the instant of the order and the first moment they were read, microseconds."""

    home: LakeSettings
    rows: dict[str, tuple[int, int]] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Read what is added to the segments of `alerts`, until told to stop."""
        sizes: dict[Path, int] = {}
        while not self.stopping.wait(0.005):
            for segment in list_segments(self.home.house, "alerts"):
                try:
                    size = segment.path.stat().st_size
                except FileNotFoundError:
                    continue
                if sizes.get(segment.path) == size:
                    continue
                sizes[segment.path] = size
                rows = read_segment(segment.path).select(["alert_id", "timestamp"])
                now = time.time_ns() // 1000
                for name, moment in zip(rows["alert_id"].to_pylist(), rows["timestamp"].cast("int64").to_pylist(), strict=True):
                    self.rows.setdefault(name, (moment, now))


@dataclass(slots=True)
class House:
    """What runs: the market, the programs, and Discord."""

    lake: LakeSettings
    market: LiveMarket
    supervisor: Supervisor
    discord: Discord
    seen: Seen
    instance: dg.DagsterInstance
    orphaned: list[int] = field(default_factory=list)
    """Programs that were killed: what they had started lives on for a while."""

    def burst(self, symbol: str) -> None:
        """Force one order."""
        root = self.market.endpoints[EXCHANGE]["linear_ws"].replace("ws://", "http://").partition(f"/{EXCHANGE}")[0]
        with urllib.request.urlopen(f"{root}/control/burst?exchange={EXCHANGE}&symbol={symbol}&usd=50000", timeout=10):
            pass

    def messages(self) -> dict[str, list[tuple[float, bool]]]:
        """By alert: when each message that held it was taken, and whether that was marked as a repeat."""
        # Each is noted before it leaves: so what was taken by now is in the ledger that is read after.
        taken = self.discord.taken
        sql = "select distinct message_id, alert_id from deliveries"
        holds: dict[str, list[str]] = {}
        for row in run_sql(self.lake.house, sql).table.to_pylist():
            holds.setdefault(row["message_id"], []).append(row["alert_id"])
        found: dict[str, list[tuple[float, bool]]] = {}
        for posted in taken:
            embed = posted.body["embeds"][0]
            message = embed["footer"]["text"].partition(" ")[0]
            for alert in holds[message]:
                found.setdefault(alert, []).append((posted.at, embed["title"].startswith("[retry]")))
        return found

    def undelivered(self) -> set[str]:
        """Alerts of the dataset that Discord has not taken."""
        rows = run_sql(self.lake.house, "select alert_id from alerts").table["alert_id"].to_pylist()
        return set(rows) - self.messages().keys()


def main() -> int:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bursts", type=int, default=20)
    parser.add_argument("--kills", type=int, default=0, help="of each of collector, daemon and job")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        found = run(Path(root), bursts=options.bursts, kills=options.kills, seed=options.seed)
    print(json.dumps({"seed": options.seed, **found}, indent=1))
    return 0 if found["lost"] == 0 and found["repeats_unmarked"] == 0 else 1


def run(root: Path, *, bursts: int, kills: int, seed: int) -> dict[str, Any]:
    """Raise the house, time the bursts, then kill."""
    draw = random.Random(seed)
    lake, settings = LakeSettings(home=root / "home"), OrchestrationSettings()
    discord = Discord()
    discord.start()
    rules, config = root / "alerts.toml", root / "tickhouse.toml"
    rules.write_text(RULES)
    os.environ |= {
        "TICKHOUSE_ALERTS": str(rules),
        "DISCORD_WEBHOOK_URL": discord.webhook("of-the-benchmark"),
        "TICKHOUSE_ALERT_LOG": "false",
    }
    ensure(lake.house)
    publish(lake.house)
    # Forced orders of the market's own would make the count of bursts uncertain.
    market_arguments = ["--exchanges", EXCHANGE, "--rate", "200", "--liquidations-per-minute", "0"]
    with live_market(arguments=market_arguments) as market, open_instance(lake, settings) as instance:
        write_config(config, market, {EXCHANGE: SYMBOLS})
        programs = (collector_program(lake, config), dagster_programs(lake, config, host="127.0.0.1", port=0)[1])
        supervisor = Supervisor(
            programs=[replace(each, restarts=True) for each in programs], logs=root / "logs", say=lambda _: None, backoff=(0.2,)
        )
        house = House(lake, market, supervisor, discord, Seen(lake), instance)
        looking_after = threading.Thread(target=supervisor.watch)
        watcher = threading.Thread(target=house.seen.watch)
        try:
            supervisor.start()
            looking_after.start()
            watcher.start()
            warm_up(house)
            timed = time_bursts(house, bursts, draw)
            killed = kill_all(house, kills, draw) if kills else {}
            drain(house)
            return {**timed, **killed, **verdict(house)}
        finally:
            house.seen.stopping.set()
            supervisor.ask_to_stop()
            watcher.join()
            looking_after.join()
            supervisor.stop()
            for process in house.orphaned:
                with suppress(ProcessLookupError):
                    os.killpg(process, signal.SIGKILL)
            discord.close()


def warm_up(house: House) -> None:
    """Until the first order has become a message: then everything runs."""

    def arrived() -> bool:
        if not house.discord.taken:
            house.burst(SYMBOLS[0])
        return bool(house.discord.taken)

    wait_for(arrived, "a first message", seconds=180, pause=2.0)
    drain(house)


def time_bursts(house: House, bursts: int, draw: random.Random) -> dict[str, Any]:
    """Force orders at random moments; milliseconds until the row can be read, seconds until the message was taken."""
    before = set(house.seen.rows)
    for number in range(bursts):
        house.burst(SYMBOLS[number % len(SYMBOLS)])
        time.sleep(draw.uniform(0.5, 9.0))
    drain(house)
    messages = house.messages()
    fired = {name: each for name, each in house.seen.rows.items() if name not in before}
    row_ms = [(read - moment) / 1e3 for moment, read in fired.values()]
    message_s = [min(at for at, _ in messages[name]) - moment / 1e6 for name, (moment, _) in fired.items()]
    return {
        "bursts": bursts,
        "alerts": len(fired),
        "order_to_row_ms": spread(row_ms),
        "order_to_message_s": spread(message_s),
        "of_which_s": stages(house, fired, messages),
        "load": [round(each, 1) for each in os.getloadavg()],
    }


def stages(house: House, fired: dict[str, tuple[int, int]], messages: dict[str, list[tuple[float, bool]]]) -> dict[str, Any]:
    """Where the seconds go: until a run is requested, until its process is started, until it runs, until Discord has the message."""
    found: dict[str, list[float]] = {}
    for record in house.instance.get_run_records(dg.RunsFilter(job_name=DELIVER_ALERTS)):
        ids = record.dagster_run.run_config["ops"][DELIVER_OP]["config"]["alerts"]
        stats = house.instance.get_run_stats(record.dagster_run.run_id)
        for name in ids:
            if name in fired and stats.launch_time and stats.start_time:
                moments = [
                    fired[name][1] / 1e6,
                    stats.enqueued_time or 0,
                    stats.launch_time,
                    stats.start_time,
                    min(at for at, _ in messages[name]),
                ]
                for stage, begun, ended in zip(("request", "dequeue", "process", "message"), moments, moments[1:], strict=False):
                    found.setdefault(stage, []).append(ended - begun)
    return {stage: spread(seconds) for stage, seconds in found.items()}


def spread(figures: list[float]) -> dict[str, float]:
    """Median, 99th percentile and the worst."""
    cuts = quantiles(figures, n=100, method="inclusive")
    return {"p50": round(cuts[49], 3), "p99": round(cuts[98], 3), "worst": round(max(figures), 3)}


def kill_all(house: House, kills: int, draw: random.Random) -> dict[str, Any]:
    """Kill each victim so many times, in random order, while orders are forced all the time."""
    stopping = threading.Event()
    house.discord.obey({"delay": ANSWER_SECONDS})

    def force() -> None:
        while not stopping.wait(0.7):
            house.burst(SYMBOLS[0])

    forcing = threading.Thread(target=force)
    forcing.start()
    done: Counter[str] = Counter()
    try:
        order = [victim for victim in VICTIMS for _ in range(kills)]
        draw.shuffle(order)
        for victim in order:
            time.sleep(draw.uniform(0, LONGEST_LIFE_SECONDS))
            kill(house, victim, draw)
            done[victim] += 1
    finally:
        stopping.set()
        forcing.join()
    return {"killed": dict(done)}


def kill(house: House, victim: str, draw: random.Random) -> None:
    """SIGKILL one program, which is started again, or the newest run of the job."""
    if victim == "job":
        wait_for(lambda: kill_a_run(house, draw.uniform(0, LONGEST_RUN_SECONDS)), "a run of the job", seconds=180, pause=0.01)
        return
    name = NAMES[victim]
    wait_for(lambda: name in house.supervisor.pids, f"{name} again", seconds=60)
    process = house.supervisor.pids[name]
    house.orphaned.append(process)
    os.kill(process, signal.SIGKILL)


def kill_a_run(house: House, after: float) -> bool:
    """Kill the newest run `after` so many seconds, if there is one and it still runs then."""
    found = job_processes(house)
    if not found:
        return False
    time.sleep(after)
    try:
        found[-1].kill()
    except psutil.NoSuchProcess:
        return False
    return True


def job_processes(house: House) -> list[psutil.Process]:
    """Processes of runs, the newest last: the daemon's code server starts each with multiprocessing."""
    daemon = house.supervisor.pids.get(NAMES["daemon"])
    try:
        children = psutil.Process(daemon).children(recursive=True) if daemon else []
        found = [child for child in children if "--multiprocessing-fork" in child.cmdline()]
    except psutil.NoSuchProcess:
        # It ended while we looked: the next look sees what is there then.
        return []
    return sorted(found, key=lambda each: each.create_time())


def drain(house: House) -> None:
    """Wait until every alert has been delivered; says what runs there were where that takes too long."""
    try:
        wait_for(lambda: not house.undelivered(), "every alert at Discord", seconds=DRAIN_SECONDS, pause=0.5)
    except TimeoutError:
        runs = Counter((each.job_name, each.status.value) for each in house.instance.get_runs())
        print(f"{len(house.undelivered())} alerts were left; runs: {dict(runs)}", file=sys.stderr)


def verdict(house: House) -> dict[str, Any]:
    """What became of every alert."""
    messages = house.messages()
    unmarked = sum(max(0, sum(not marked for _, marked in each) - 1) for each in messages.values())
    return {
        "fired": len(messages) + len(house.undelivered()),
        "lost": len(house.undelivered()),
        "delivered_more_than_once": sum(len(each) > 1 for each in messages.values()),
        "repeats_marked": sum(marked for each in messages.values() for _, marked in each),
        "repeats_unmarked": unmarked,
    }


def wait_for(condition: Callable[[], bool], what: str, *, seconds: float, pause: float = 0.1) -> None:
    """Until it is true; `TimeoutError` after so long."""
    ends = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends:
            message = f"{what} did not come within {seconds:g} s"
            raise TimeoutError(message)
        time.sleep(pause)


if __name__ == "__main__":
    sys.exit(main())
