"""Usage words: the bits and purposes they mean for each algorithm."""

import pytest
from tests.support.certificates import a_chain

from anchorline.errors import InvalidSpec
from anchorline.pki import DEFAULT_USAGES


@pytest.mark.parametrize(
    ("kind", "asked", "got"),
    [
        ("P-256", DEFAULT_USAGES, ("digital signature", "server auth", "client auth")),
        ("RSA", DEFAULT_USAGES, ("digital signature", "key encipherment", "server auth", "client auth")),
        ("RSA", ("server auth",), ("digital signature", "key encipherment", "server auth")),
        ("RSA", ("key agreement", "data encipherment"), ("data encipherment",)),
        ("P-256", ("key agreement",), ("key agreement",)),
        ("P-256", ("key encipherment",), ("digital signature",)),
        ("Ed25519", ("key agreement", "code signing"), ("digital signature", "code signing")),
        ("P-256", (), ("digital signature",)),
        ("P-256", ("any", "content commitment"), ("content commitment", "any")),
        (
            "P-256",
            ("timestamping", "ocsp signing", "email protection"),
            ("digital signature", "timestamping", "ocsp signing", "email protection"),
        ),
    ],
)
def test_a_leaf_gets_what_its_key_can_do(kind: str, asked: tuple[str, ...], got: tuple[str, ...]) -> None:
    assert a_chain("P-256", kind, usages=asked).leaf.usages == got


@pytest.mark.parametrize(
    ("word", "rule"),
    [("cert sign", "for certificate authorities"), ("crl sign", "authorities"), ("magic", "not known")],
)
def test_a_leaf_is_refused_what_is_not_for_leaves(word: str, rule: str) -> None:
    with pytest.raises(InvalidSpec, match=rule):
        a_chain(usages=("server auth", word))
