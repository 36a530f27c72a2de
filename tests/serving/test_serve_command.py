"""`tickhouse serve` as a process, and what other verbs do not pay for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from lake.paths import Home
from tests.orchestration.test_cli import ROOT, tickhouse


def test_it_says_where_it_serves_and_ends_on_a_signal(past: Home) -> None:
    command = [sys.executable, "-c", "from orchestration.cli import main; main()", "serve", "--home", str(past.root), "--port", "0"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        url = next(word for word in line.split() if word.startswith("http://"))
        answer = httpx.get(f"{url}/health/live", timeout=60)
        process.send_signal(signal.SIGTERM)
        process.wait(120)
    finally:
        process.kill()
        process.communicate()

    assert answer.json() == {"status": "live"}
    assert process.returncode in {0, -signal.SIGTERM}


def test_it_refuses_to_stand_open_with_one_sentence(tmp_path: Path) -> None:
    done = tickhouse("serve", "--home", str(tmp_path), "--host", "0.0.0.0", env={"TICKHOUSE_API_TOKENS": ""})

    assert done.returncode == 2
    assert done.stderr == (
        "tickhouse: the server would listen on 0.0.0.0 without a token: set TICKHOUSE_API_TOKENS, or TICKHOUSE_API_HOST=127.0.0.1\n"
    )


def test_other_verbs_do_not_pay_for_the_server() -> None:
    code = "import sys, orchestration.cli.app; print([n for n in ('fastapi', 'uvicorn', 'prometheus_client', 'serving.app') if n in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
