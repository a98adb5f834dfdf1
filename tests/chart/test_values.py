"""values.yaml and its schema: defaults pass, what is misspelled or senseless is refused, nothing is undescribed."""

import json
from typing import Any

import pytest
import yaml
from tests.chart import cluster

SCHEMA = json.loads((cluster.CHART / "values.schema.json").read_text())
DEFAULTS = yaml.safe_load((cluster.CHART / "values.yaml").read_text())


def test_lint_is_clean() -> None:
    cluster.helm("lint", "--strict", str(cluster.CHART))


@pytest.mark.parametrize(
    "wrong",
    [
        "nonsense=1",
        "image.name=x",
        "image.repository=",
        "image.digest=sha256:12",
        "image.pullPolicy=Sometimes",
        "imagePullSecrets[0].nam=x",
        "clusterDomain=.cluster.local",
        "clusterDomain=",
        "logLevel=loud",
        "operator.replicas=3",
        "operator.replicas=some",
        "operator.enabled=true",
        "operator.resources.claims=1",
        "webhook.replicas=-1",
        "webhook.url=http://127.0.0.1:9443/mutate",
        "webhook.url=https://user@host/mutate",
        "webhook.url=https://host/mutate?a=b",
        "webhook.servingNames={a b}",
        "protectTrustStores=yes please",
        "crds.keep=false",
        "deployments.operator=true",
        "nodeSelector.pool=1",
        "podLabels.a=true",
    ],
)
def test_schema_refuses(wrong: str) -> None:
    done = cluster.helm("template", "x", str(cluster.CHART), "--set", wrong, check=False)
    assert done.returncode != 0
    assert "values don't meet the specifications of the schema" in done.stderr


def test_every_default_is_described() -> None:
    assert set(DEFAULTS) == set(SCHEMA["properties"]) - {"global"}
    assert not _undescribed(SCHEMA["properties"], "")


def _undescribed(properties: dict[str, Any], path: str) -> list[str]:
    """Paths of the values without a description."""
    missing = []
    for name, value in properties.items():
        if "description" not in value and value.get("$ref") != "#/definitions/resources":
            missing.append(path + name)
        missing += _undescribed(value.get("properties", {}), f"{path}{name}.")
    return missing
