"""What we have just written is seen as it would be read."""

from datetime import UTC, datetime
from itertools import product

import pytest
from tests.support.certificates import a_bridge, a_chain

from anchorline import pki
from anchorline.api import naming
from anchorline.kube import objects, views
from anchorline.kube.public_roots import public_roots

NOW = datetime(2026, 11, 26, tzinfo=UTC)
BUNDLES = (pki.TrustBundle(), pki.TrustBundle(a_chain(now=NOW).roots), pki.TrustBundle([a_bridge(NOW).new]))
FORMATS = ((), (naming.JKS,), naming.TRUST_FORMATS)


# A store is never empty.
STORES = [each for each in product(BUNDLES, (True, False), FORMATS) if each[0] or each[1]]


@pytest.mark.parametrize(("private", "public", "formats"), STORES)
def test_a_written_trust_store_is_seen_as_it_would_be_read(
    private: pki.TrustBundle, public: bool, formats: tuple[str, ...]
) -> None:
    roots = public_roots() if public else None
    obj = objects.trust_store("shop", private, roots, formats)
    obj["metadata"]["resourceVersion"] = "7"
    written = views.written_store("7", private, roots.digest if roots else "", formats)
    assert views.store_view(obj) == written


def test_an_edited_trust_store_is_not_what_was_written() -> None:
    obj = objects.trust_store("shop", BUNDLES[1], public_roots())
    obj["metadata"]["resourceVersion"] = "7"
    obj["data"] = {**obj["data"], naming.FULL_BUNDLE: obj["data"][naming.FULL_BUNDLE] + "\n"}
    assert views.store_view(obj) != views.written_store("7", BUNDLES[1], public_roots().digest, ())
