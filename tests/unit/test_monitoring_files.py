"""The dashboard and the alerts that we hand out name metrics that there are, with labels that they have."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from moorage.core.metrics import BlobMetrics
from moorage.gc.online.collection_metrics import CollectionMetrics
from moorage.metrics.meters import Meters
from moorage.metrics.node_metrics import PartMetrics, RequestMetrics, StoreMetrics
from moorage.metrics.pool_metrics import PoolMetrics, ReplicaMetrics
from moorage.notifications.metrics import NotificationMetrics
from support.components import need

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "moorage.rules.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "moorage.json"
PAGE = (ROOT / "docs" / "how-to" / "monitoring.md").read_text()
METRICS_PAGE = (ROOT / "docs" / "how-to" / "metrics.md").read_text()
PUT_ON_BY_PROMETHEUS = {"instance", "job", "exported_instance", "le"}
LOOKED_UP = {
    "registry_database_rows": {"query_name"},
    "registry_notifications_pending": {"endpoint"},
    "registry_adoption_repositories": {"state"},
    "gitlab_build_info": {"version", "product"},
    "up": set[str](),
}
"""What is no counter of ours, with its labels."""

_NAMED = re.compile(r"\b((?:registry|gitlab|go_sql)_[a-z_]+|up)\b(?:\{([^}]*)\})?")
_BY = re.compile(r"\bby \(([^)]*)\)")


def counted() -> CollectorRegistry:
    registry = CollectorRegistry()
    for make in (
        *(CollectionMetrics, BlobMetrics, NotificationMetrics, RequestMetrics, PartMetrics, StoreMetrics),
        *(PoolMetrics, ReplicaMetrics),
    ):
        make(Meters(registry))
    return registry


def there() -> Mapping[str, set[str]]:
    """Every sample's name with its labels."""
    registry = counted()
    found = dict(LOOKED_UP)
    for metric in registry._collector_to_names:
        assert isinstance(metric, MetricWrapperBase)
        for name in registry._collector_to_names[metric]:
            found[name] = set(metric._labelnames)
    return found


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return found


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    board = dashboard()
    yield from (target["expr"] for panel in board["panels"] for target in panel["targets"])
    yield from (variable["query"] for variable in board["templating"]["list"] if variable["type"] == "query")


@pytest.mark.parametrize("expression", list(expressions()))
def test_every_metric_and_label_that_is_named_is_there(expression: str) -> None:
    known = there()
    labels = set(PUT_ON_BY_PROMETHEUS)
    for name, matchers in _NAMED.findall(re.sub(r'"[^"]*"', '""', expression)):
        assert name in known, name
        labels |= known[name]
        assert set(re.findall(r"(\w+)\s*[=!]", matchers)) <= known[name] | PUT_ON_BY_PROMETHEUS
    grouped = {label.strip() for part in _BY.findall(expression) for label in part.split(",")}
    assert grouped <= labels


def test_every_alert_is_explained_with_what_to_do() -> None:
    told = re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)
    assert told == [rule["alert"] for rule in rules()]
    for rule in rules():
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in ("critical", "warning", "info")


def test_every_metric_is_in_the_reference_and_no_other() -> None:
    there, _, lacking = METRICS_PAGE.partition("## What is not there")
    assert lacking
    named = set(re.findall(r"^\| `((?:registry|gitlab|go_sql)_\w+)`", there, re.MULTILINE))
    families = {f"{metric.name}_total" if metric.type == "counter" else metric.name for metric in counted().collect()}
    assert named == families | LOOKED_UP.keys() - {"up"}


def test_panels_have_each_their_place_and_number() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
        assert [target["refId"] for target in panel["targets"]] == ["A", "B", "C"][: len(panel["targets"])]


def test_prometheus_itself_takes_the_alerts() -> None:
    need("promtool")
    command = ["promtool", "check", "rules", str(RULES)]
    found = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stdout + found.stderr
