"""The trust bundle: an ordered set of self-signed CA roots whose bytes depend on its content alone."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cached_property

from anchorline.errors import InvalidSpec, Reason
from anchorline.pki.certificate import Certificate
from anchorline.pki.pem import encode_certificates


class TrustBundle:
    """Roots, newest first, each once; treat as frozen. Equal when the content is.

    May be empty, but an empty file is refused by every client, so it is then no trust store.
    Newest first because gRPC's C core takes the first of two roots with the same key, even when it is expired.
    """

    def __init__(self, certificates: Iterable[Certificate] = ()) -> None:
        self._certificates = tuple(
            sorted({root.fingerprint: root for root in certificates}.values(), key=_newest_first)
        )

    @classmethod
    def of(cls, certificates: Iterable[Certificate], *, now: datetime | None) -> "TrustBundle":
        """Take roots, without the expired ones when `now` is given; raises InvalidSpec for what is not a root."""
        certificates = tuple(certificates)
        for certificate in certificates:
            _check_root(certificate)
        return cls(root for root in certificates if now is None or root.not_after >= now)

    @cached_property
    def pem(self) -> bytes:
        """The bundle file: canonical PEM, the same bytes for the same content."""
        return encode_certificates(self._certificates)

    @cached_property
    def fingerprints(self) -> tuple[str, ...]:
        """SHA-256 of each root's DER, in order."""
        return tuple(root.fingerprint for root in self._certificates)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the bundle file in lower-case hex."""
        return hashlib.sha256(self.pem).hexdigest()

    def __or__(self, other: "TrustBundle") -> "TrustBundle":
        return TrustBundle((*self, *other))

    def __contains__(self, certificate: object) -> bool:
        return certificate in self._certificates

    def __len__(self) -> int:
        return len(self._certificates)

    def __iter__(self) -> Iterator[Certificate]:
        return iter(self._certificates)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TrustBundle) and self._certificates == other._certificates

    def __hash__(self) -> int:
        return hash(self._certificates)

    def __repr__(self) -> str:
        return f"TrustBundle({', '.join(root.short_fingerprint for root in self)})"


def _newest_first(root: Certificate) -> tuple[float, str]:
    return -root.not_before.timestamp(), root.fingerprint


def _check_root(certificate: Certificate) -> None:
    # An intermediate as an anchor works in half of the clients; a self-signed leaf is refused by many.
    if not certificate.is_ca:
        raise InvalidSpec(f"{certificate.subject_text} is not a certificate authority", reason=Reason.NOT_A_CA)
    if not certificate.is_self_signed:
        raise InvalidSpec(f"{certificate.subject_text} is not a root: it is not self-signed", reason=Reason.NOT_A_CA)
