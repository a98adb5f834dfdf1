"""The CRDs in the chart: the generated ones unchanged, and kept by helm when the chart goes."""

import shutil
from pathlib import Path

import pytest
import yaml
from tests.chart import cluster

CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: things.anchorline.dev
  annotations: {of: ours}
spec: {group: anchorline.dev, versions: [{name: v1, schema: {minimum: 1000000, pattern: '^a"{{ b }}$'}}]}
"""


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """Return a copy of the chart with one CRD that has everything that templating could break."""
    copy = tmp_path / "anchorline"
    shutil.copytree(cluster.CHART, copy, ignore=shutil.ignore_patterns("crds-generated"))
    (copy / "crds-generated").mkdir()
    (copy / "crds-generated" / "things.yaml").write_text(CRD)
    return copy


def test_a_crd_is_rendered_as_it_is_and_kept(chart: Path) -> None:
    (crd,) = yaml.safe_load_all(cluster.template("--show-only=templates/crds.yaml", chart=chart))
    assert crd["spec"] == yaml.safe_load(CRD)["spec"]
    assert crd["metadata"]["annotations"] == {"of": "ours", "helm.sh/resource-policy": "keep"}


def test_crds_can_be_left_out(chart: Path) -> None:
    assert "CustomResourceDefinition" not in cluster.template("--set=crds.enabled=false", chart=chart)


def test_the_generated_crds_are_all_there() -> None:
    generated = {yaml.safe_load(path.read_text())["metadata"]["name"] for path in cluster.GENERATED.glob("*.yaml")}
    assert generated == {"privatecas.anchorline.dev", "certificates.anchorline.dev"}, "run `make crds`"
    crds = [o for o in cluster.rendered() if o["kind"] == "CustomResourceDefinition"]
    assert {crd["metadata"]["name"] for crd in crds} == generated
    assert all(crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep" for crd in crds)
