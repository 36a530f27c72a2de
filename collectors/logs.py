"""Logging: structlog, readable on a terminal, one JSON object a line otherwise; exchange, connection and symbol bound.

Put here: how log entries look and where they go (standard error). Keep out: what is logged.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Literal

import structlog

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger, Processor

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure(level: Literal["debug", "info", "warning", "error"], form: Literal["auto", "console", "json"]) -> None:
    """Set logging up for this process; called once, by the program."""
    readable = form == "console" or (form == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    ending: list[Processor] = (
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
        if readable
        else [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    # httpx logs every request at info; ours are counted in the ledger.
    logging.getLogger("httpx").setLevel(logging.WARNING)


def logger(**bound: str) -> FilteringBoundLogger:
    """A logger with `bound` (exchange=, connection=, symbol=) on every entry."""
    made: FilteringBoundLogger = structlog.get_logger("collectors").bind(**bound)
    return made
