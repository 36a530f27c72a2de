"""What is deployed to watch the house, as data: files of `deploy/`, their PromQL and SQL, and what Grafana makes of its macros."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
CONFIG = DEPLOY / "prometheus" / "prometheus.yml"
RULES = DEPLOY / "prometheus" / "rules.yml"
RULE_TESTS = DEPLOY / "prometheus" / "rules_test.yml"
BOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))

_WORDS = {"and", "or", "unless"} | {
    "absent", "avg", "count", "histogram_quantile", "increase", "max", "min", "predict_linear", "rate", "sort_desc", "sum",
}  # fmt: skip
_GROUPED = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
_BRACES = re.compile(r"\{([^}]*)\}")


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def board(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def panels(path: Path) -> list[dict[str, Any]]:
    return [panel for panel in board(path)["panels"] if panel["type"] != "row"]


def alerts() -> list[dict[str, Any]]:
    return [rule for group in read(RULES)["groups"] for rule in group["rules"]]


def promql() -> dict[str, str]:
    """Every expression there is, by where it stands."""
    found = {f"rule {rule['alert']}": rule["expr"] for rule in alerts()}
    for path in BOARDS:
        for panel in panels(path):
            found |= {
                f"{path.stem} {panel['id']}: {panel['title']} {each['refId']}": each["expr"] for each in panel["targets"] if "expr" in each
            }
        for variable in board(path)["templating"]["list"]:
            if variable["type"] == "query" and isinstance(variable["query"], dict):
                found[f"{path.stem}: ${variable['name']}"] = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])[1]  # type: ignore[index]
    return found


def metrics_of(expression: str) -> set[str]:
    """Names of the metrics an expression asks for: what is left of it without strings, labels, ranges, functions and numbers."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\[[^\]]*\]", "", _GROUPED.sub("", _BRACES.sub("", bare)))
    return set(re.findall(r"\b[A-Za-z_:][\w:]*", bare)) - _WORDS


def labels_of(expression: str) -> set[str]:
    """Names of the labels an expression selects or groups by."""
    bare = re.sub(r'"[^"]*"', "", expression)
    grouped = {label.strip() for group in _GROUPED.findall(bare) for label in group.split(",")}
    return grouped | {label for braces in _BRACES.findall(bare) for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", braces)}


def statements(path: Path) -> Iterator[tuple[str, str, str]]:
    """Where an SQL statement of a dashboard stands, its format, and its text."""
    for panel in panels(path):
        for target in panel["targets"]:
            if "rawSql" in target:
                yield f"{panel['title']} {target['refId']}", target["format"], target["rawSql"]
    for variable in board(path)["templating"]["list"]:
        if variable["type"] == "query" and isinstance(variable["query"], str):
            yield f"${variable['name']}", "variable", variable["query"]


def as_grafana_sends(text: str, start: datetime, end: datetime, *, seconds: int, timescale: bool, **variables: str) -> str:
    """A statement after Grafana's macros and variables: times as text, and buckets as the data source's setting `timescaledb` has them."""

    def stamp(moment: datetime) -> str:
        return moment.strftime("'%Y-%m-%dT%H:%M:%SZ'")

    def bucket(match: re.Match[str]) -> str:
        column = match[1].strip()
        if timescale:
            return f"time_bucket('{seconds:.3f}s',{column})"
        return f"floor(extract(epoch from {column})/{seconds})*{seconds}"

    for name, value in variables.items():
        quoted = value.replace("'", "''")
        text = text.replace(f"${{{name}:sqlstring}}", f"'{quoted}'")
    text = re.sub(r"\$__timeGroup\(([^),]*),\s*\$__interval\s*\)", bucket, text)
    text = re.sub(r"\$__timeFilter\(([^)]*)\)", rf"\1 BETWEEN {stamp(start)} AND {stamp(end)}", text)
    return text.replace("$__timeFrom()", stamp(start)).replace("$__timeTo()", stamp(end))
