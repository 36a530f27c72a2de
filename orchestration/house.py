"""The whole house: collectors, Dagster's pages and its daemon, the dashboard, on one home, started and stopped together.

Put here: the order in which `tickhouse up` does things, and what it says. Keep out: supervision (`orchestration.processes`).
"""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Final

import dagster as dg
import typer

from collectors.config import load
from collectors.registry import VENUES
from lake.catalog import publish
from lake.layout import ensure
from lake.settings import LakeSettings
from orchestration.errors import OrchestrationError, PortTaken
from orchestration.instance import open_instance, prepare
from orchestration.processes import (
    Program,
    Supervisor,
    collector_program,
    dagster_programs,
    free_port,
    server_program,
    stopping_on_signals,
)
from orchestration.remembered import remember
from orchestration.settings import OrchestrationSettings
from orchestration.unmaterialised import report_unmaterialised, wait_for_first_tick
from serving.errors import ServingRefused
from serving.settings import ServingSettings

_FIRST_TICK_SECONDS: Final = 120.0
_PAGES_SECONDS: Final = 90.0
_LAST_WORDS_SECONDS: Final = 5.0
"""For what runs beside the programs to see that it is to stop; a materialisation may be left where it is, nothing is half-written."""


def run_house(
    lake: LakeSettings,
    config: Path,
    *,
    port: int,
    serve: bool = True,
    ready: Callable[[str, dg.DagsterInstance], None] | None = None,
) -> int:
    """Run collectors, Dagster and (`serve`) the API with its dashboard until Ctrl-C or SIGTERM; 0 when they were stopped by that, 1 when a
    program died.

    `ready` is called once with the address of the Dagster pages and the instance, in a thread of its own, when the pages answer and
    before Dagster's daemon starts: what it materialises, automation finds done. A wrong config is refused before anything starts.
    """
    settings = OrchestrationSettings()
    load(config, VENUES)
    ensure(lake.house)
    publish(lake.house)
    host = settings.webserver_host
    port = free_port(host, port)
    prepare(lake, settings)
    url = f"http://{host}:{port}"
    pages, daemon = dagster_programs(lake, config, host=host, port=port)
    server = _server(lake) if serve else None
    supervisor = Supervisor(
        programs=(collector_program(lake, config), pages),
        logs=lake.house.root / "logs",
        say=typer.echo,
        shutdown_seconds=settings.shutdown_seconds,
    )

    def bring_up(instance: dg.DagsterInstance) -> None:
        if ready is not None:
            ready(url, instance)
        remember(instance, settings)
        begun = time.time()
        if not supervisor.stopping:
            supervisor.add(daemon)
            _catch_up(instance, lake, settings, begun, supervisor)

    begun = time.monotonic()
    rising: _InBackground | None = None
    with open_instance(lake, settings) as instance, stopping_on_signals(supervisor):
        try:
            supervisor.start()
            if server is not None:
                supervisor.add(server[0])
            typer.echo(f"Starting collectors and Dagster; their logs are in {supervisor.logs}")
            supervisor.watch(until=lambda: _answers(url) or time.monotonic() - begun > _PAGES_SECONDS)
            if not supervisor.stopping:
                typer.echo(f"Dagster UI: {url}")
                if server is not None:
                    typer.echo(f"Dashboard:  {server[1]}")
                rising = _InBackground(lambda: bring_up(instance))
                supervisor.watch(until=rising.ended)
                rising.raise_error()
            supervisor.watch()
        except OrchestrationError as error:
            typer.echo(f"{error}; the rest is stopped", err=True)
            return 1
        finally:
            supervisor.stop()
            if rising is not None:
                rising.wait(_LAST_WORDS_SECONDS)
            typer.echo("Stopped.")
    return 0


def _server(lake: LakeSettings) -> tuple[Program, str] | None:
    """The program that serves the API and the dashboard, and their address; None, and a sentence why, where it cannot."""
    settings = ServingSettings()
    try:
        settings.check()
        port = free_port(settings.api_host, settings.api_port)
    except (ServingRefused, PortTaken) as error:
        typer.echo(f"{error}; the house goes on without its dashboard (TICKHOUSE_API_HOST, TICKHOUSE_API_PORT)", err=True)
        return None
    host = "127.0.0.1" if settings.api_host == "0.0.0.0" else settings.api_host  # noqa: S104 - what is bound to all is reached here
    return server_program(lake, host=settings.api_host, port=port), f"http://{host}:{port}/dashboard"


class _InBackground:
    """Work in a thread that does not keep the process alive; its error is raised by whoever asks."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._error: BaseException | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
            self._error = error

    def wait(self, seconds: float) -> None:
        """Wait until the work is done, but no longer than this."""
        self._thread.join(seconds)

    def ended(self) -> bool:
        """Whether the work is done or has failed."""
        return not self._thread.is_alive()

    def raise_error(self) -> None:
        """Raise what the work raised, if it did."""
        if self._error is not None:
            raise self._error


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/server_info", timeout=2):  # noqa: S310 - our own server on this machine
            return True
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def _catch_up(
    instance: dg.DagsterInstance, lake: LakeSettings, settings: OrchestrationSettings, since: float, supervisor: Supervisor
) -> None:
    """Report what landed before automation began to watch: its first evaluation remembers only."""
    ends = time.monotonic() + _FIRST_TICK_SECONDS
    ticked = None
    while ticked is None:
        if supervisor.stopping:
            return
        if time.monotonic() > ends:
            typer.echo(f"Dagster's automation did not tick within {_FIRST_TICK_SECONDS:g} s: see its log", err=True)
            return
        ticked = wait_for_first_tick(instance, since=since, timeout=1.0)
    again = report_unmaterialised(instance, lake, settings, ticked=ticked)
    if again:
        typer.echo(f"Reported {len(again)} landed hours that were not materialised yet.")
