"""What a user can set or type must be written where a user reads: README, docs/usage.md, .env.example."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import AliasChoices
from pydantic_settings import BaseSettings

from assets.settings import FlowSettings
from collectors.settings import CollectorSettings
from lake.alerts.settings import AlertSettings
from lake.settings import LakeSettings
from lake.timescale.settings import TimescaleSettings
from orchestration.alerting.settings import AlertingSettings
from orchestration.cli.app import VERBS
from orchestration.settings import OrchestrationSettings
from serving.settings import ServingSettings
from sources.settings import ContextSettings

ROOT = Path(__file__).resolve().parents[2]
SETTINGS: tuple[type[BaseSettings], ...] = (
    LakeSettings,
    AlertSettings,
    CollectorSettings,
    OrchestrationSettings,
    FlowSettings,
    ContextSettings,
    ServingSettings,
    AlertingSettings,
    TimescaleSettings,
)


def variables() -> list[tuple[str, str, str]]:
    found = []
    for settings in SETTINGS:
        for name, field in settings.model_fields.items():
            alias = field.validation_alias
            variable = str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"TICKHOUSE_{name.upper()}"
            default = field.default
            if isinstance(default, bool):
                shown = str(default).lower()
            elif isinstance(default, float):
                shown = f"{default:g}" if default < 1e6 else str(int(default))
            elif default is None:
                shown = ""
            elif hasattr(default, "isoformat"):
                shown = default.strftime("%Y-%m-%dT%H:%M")
            else:
                shown = str(default)
            found.append((variable, shown, str(field.description)))
    return found


@pytest.mark.parametrize(("variable", "default", "description"), variables())
def test_every_setting_has_its_row_in_the_usage_page(variable: str, default: str, description: str) -> None:
    page = (ROOT / "docs" / "usage.md").read_text()
    shown = f"`{default}`" if default else ""

    assert f"| `{variable}` | {shown} | {description} |" in page


@pytest.mark.parametrize(("variable", "default", "description"), variables())
def test_every_setting_stands_in_the_example_file_with_its_default(variable: str, default: str, description: str) -> None:
    example = (ROOT / ".env.example").read_text()

    assert f"# {description}\n# {variable}={default}\n" in example


def test_every_verb_stands_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()

    missing = [verb for verb in VERBS if f"`tickhouse {verb}" not in readme]

    assert missing == []


def test_every_document_is_reachable_from_the_readme_or_the_usage_page() -> None:
    pages = sorted((ROOT / "docs").glob("*.md"))
    linked = (ROOT / "README.md").read_text() + (ROOT / "docs" / "usage.md").read_text()

    missing = [page.name for page in pages if page.name not in linked]

    assert missing == []
