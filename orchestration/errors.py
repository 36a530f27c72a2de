"""Every error `orchestration` raises, as one tree; the message of each is one sentence: was, received, expected.

OrchestrationError
├── InstanceError          the Dagster instance under the home cannot be prepared
├── BackfillError          a range that cannot be materialised
├── NotADemoHome           a directory that the demo may not delete
└── ProcessError           a program that we start
    ├── ChildFailed        it ended with an error
    └── PortTaken          the port its server should listen on is in use
"""

from __future__ import annotations

from pathlib import Path


class OrchestrationError(Exception):
    """Root of everything this package raises."""


class InstanceError(OrchestrationError):
    """The Dagster instance under the home cannot be prepared."""


class BackfillError(OrchestrationError):
    """A range of hours that cannot be materialised."""


class NotADemoHome(OrchestrationError):
    """A directory that holds something else than a demo."""

    def __init__(self, root: Path) -> None:
        self.root = root
        super().__init__(f"the directory {root} holds something else, expected an empty one or a former demo: choose another home")


class ProcessError(OrchestrationError):
    """A program that `up` starts, or should."""


class ChildFailed(ProcessError):
    """A program that ended with an error."""

    def __init__(self, name: str, code: int) -> None:
        self.name = name
        self.code = code
        super().__init__(f"{name} ended with exit code {code}, expected 0")


class PortTaken(ProcessError):
    """The port that a server should listen on is in use."""

    def __init__(self, *, host: str, port: int) -> None:
        self.host = host
        self.port = port
        super().__init__(f"port {port} on {host} is in use, expected it free: stop what listens there, or set TICKHOUSE_WEBSERVER_PORT")
