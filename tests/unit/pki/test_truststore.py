"""The Java truststore: its layout, and that its bytes depend on its roots alone."""

from datetime import UTC, datetime
from hashlib import sha1, sha256
from struct import unpack_from

from tests.support.certificates import DAY, NOW, a_root, ec_key

from anchorline import pki

OLD = a_root("Old", ec_key(11), not_before=NOW - 9 * DAY).certificate
NEW = a_root("New", ec_key(12), not_before=NOW - DAY).certificate
ANCIENT = a_root("Ancient", ec_key(13), not_before=datetime(1960, 1, 1, tzinfo=UTC)).certificate


def entries(store: bytes) -> list[tuple[str, int, bytes]]:
    """Alias, creation time in milliseconds and DER of each entry, read by the layout that the JDK documents."""
    magic, version, count = unpack_from(">III", store)
    assert (magic, version) == (0xFEEDFEED, 2)
    found, at = [], 12
    for _ in range(count):
        tag, length = unpack_from(">IH", store, at)
        assert tag == 2, "a trusted certificate"
        alias = store[at + 6 : at + 6 + length].decode()
        created, kind = unpack_from(">qH", store, at + 6 + length)
        at += 16 + length
        assert store[at : at + kind] == b"X.509"
        (size,) = unpack_from(">I", store, at + kind)
        at += kind + 4
        found.append((alias, created, store[at : at + size]))
        at += size
    seal = sha1("changeit".encode("utf-16-be") + b"Mighty Aphrodite" + store[:at], usedforsecurity=False)
    assert store[at:] == seal.digest()
    return found


def test_each_root_is_an_entry_under_its_fingerprint_and_dated_by_itself() -> None:
    expected = [
        (sha256(each.der).hexdigest()[:16], int(each.not_before.timestamp() * 1000), each.der)
        for each in (OLD, NEW, ANCIENT)
    ]
    assert entries(pki.java_keystore((OLD, NEW, ANCIENT))) == sorted(expected)


def test_the_same_roots_are_the_same_bytes() -> None:
    assert pki.java_keystore((OLD, NEW)) == pki.java_keystore(iter((NEW, OLD, NEW)))
    assert pki.java_keystore((OLD,)) != pki.java_keystore((NEW,))


def test_it_may_be_empty() -> None:
    assert entries(pki.java_keystore(())) == []


def test_an_entry_is_smaller_than_the_pem_block_of_its_root() -> None:
    assert len(pki.java_keystore((OLD,))) < len(OLD.pem)
