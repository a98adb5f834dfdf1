"""The whole rendered chart, for a few sets of values, against tests/golden/chart (UPDATE_GOLDEN=1 rewrites them).

The CRDs have golden files of their own (crds/); here they are left out, and compared in test_crds.py.
"""

import os

import pytest
from tests.chart import cluster

GOLDEN = cluster.ROOT / "tests" / "golden" / "chart"

VALUES = {
    "defaults": (),
    "outside": (
        "--set=deployments.enabled=false",
        "--set=webhook.url=https://127.0.0.1:9443/mutate",
    ),
    "everything": (
        "--set=image.repository=registry.example/anchorline",
        "--set=image.tag=1.2.3",
        f"--set=image.digest=sha256:{'0' * 64}",
        "--set=image.pullPolicy=Always",
        "--set=imagePullSecrets[0].name=pull",
        "--set=clusterDomain=acme.example",
        "--set=logLevel=debug",
        "--set=operator.replicas=2",
        "--set=operator.resources.limits.cpu=1",
        "--set=webhook.replicas=3",
        "--set=webhook.servingNames={10.0.0.1,hook.acme.example}",
        "--set=protectTrustStores=false",
        "--set=priorityClassName=system-cluster-critical",
        "--set=nodeSelector.pool=system",
        "--set=tolerations[0].operator=Exists",
        "--set-string=podAnnotations.a=b",
        "--set-string=podLabels.c=d",
    ),
    "small": ("--set=webhook.replicas=1",),
}


@pytest.mark.parametrize("name", VALUES)
def test_rendered_chart_is_the_golden_one(name: str) -> None:
    text = cluster.template("--set=crds.enabled=false", *VALUES[name])
    golden = GOLDEN / f"{name}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text(), f"{golden} differs; UPDATE_GOLDEN=1 rewrites it"
