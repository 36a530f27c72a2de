from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
from collectors import logs
logs.configure("info", "{form}")
log = logs.logger(exchange="kraken", connection="kraken-spot-0")
log.debug("unseen")
try:
    raise KeyError("odd")
except KeyError as error:
    log.error("broken", symbol="BTC/USD", exc_info=error)
"""


def logged(form: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(form=form)], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    assert done.stdout == ""
    return done.stderr


def test_away_from_a_terminal_an_entry_is_one_json_object_with_what_is_bound():
    lines = logged("auto").splitlines()

    assert len(lines) == 1
    entry = json.loads(lines[0])
    assert (entry["exchange"], entry["connection"], entry["symbol"], entry["level"]) == ("kraken", "kraken-spot-0", "BTC/USD", "error")
    assert entry["timestamp"].endswith("Z")
    assert "KeyError" in json.dumps(entry["exception"])


def test_on_demand_it_is_readable_text():
    text = logged("console")

    assert "broken" in text
    assert "kraken-spot-0" in text
    assert not text.startswith("{")
