"""The trust bundle: roots only, newest first, the same bytes for the same content."""

import hashlib

import pytest
from tests.support.certificates import DAY, NOW, a_bridge, a_chain, a_root, ec_key

from anchorline import pki
from anchorline.errors import InvalidSpec

OLD = a_root("Old", ec_key(11), not_before=NOW - 9 * DAY).certificate
NEW = a_root("New", ec_key(12), not_before=NOW - DAY).certificate
EXPIRED = a_root("Expired", ec_key(13), not_before=NOW - 9 * DAY, not_after=NOW - DAY).certificate


def test_it_is_newest_first_and_each_root_once() -> None:
    bundle = pki.TrustBundle.of([OLD, NEW, OLD], now=NOW)
    assert tuple(bundle) == (NEW, OLD)
    assert bundle.pem == NEW.pem + OLD.pem
    assert bundle.fingerprints == (NEW.fingerprint, OLD.fingerprint)
    assert bundle.digest == hashlib.sha256(bundle.pem).hexdigest()
    assert (len(bundle), bool(bundle)) == (2, True)


def test_expired_roots_are_dropped_when_asked() -> None:
    assert EXPIRED not in pki.TrustBundle.of([NEW, EXPIRED], now=NOW)
    assert EXPIRED in pki.TrustBundle.of([NEW, EXPIRED], now=None)
    assert not pki.TrustBundle.of([EXPIRED], now=NOW)
    assert pki.TrustBundle.of([NEW], now=NEW.not_after)


def test_it_is_a_value() -> None:
    one, other = pki.TrustBundle.of([OLD, NEW], now=None), pki.TrustBundle.of([NEW, OLD], now=None)
    assert one == other
    assert hash(one) == hash(other)
    assert one != (NEW, OLD)
    assert pki.TrustBundle.of([OLD], now=None) | pki.TrustBundle.of([NEW], now=None) == one
    assert NEW.short_fingerprint in repr(one)
    assert "root" not in one
    assert pki.TrustBundle() | one == one


@pytest.mark.parametrize(
    ("certificate", "rule"),
    [
        (a_chain().leaf, "not a certificate authority"),
        (a_chain().intermediate.certificate, "Intermediate 1,O=Acme is not a root"),
        (a_bridge().cross, "not self-signed"),
    ],
)
def test_only_roots_are_taken(certificate: pki.Certificate, rule: str) -> None:
    with pytest.raises(InvalidSpec, match=rule):
        pki.TrustBundle.of([NEW, certificate], now=NOW)
