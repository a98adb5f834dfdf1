"""What a Certificate asks for, in X.509's words, with the PrivateCA's defaults filled in."""

from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from anchorline.api.certificate import CertificateSpec
from anchorline.api.privateca import PrivateCASpec
from anchorline.pki import AlternativeNames, KeyAlgorithm, KeySpec, Subject
from anchorline.plan import secret_template


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafRequest:
    """One leaf as it should be; `digest` changes whenever a new certificate is needed because the wish changed."""

    names: AlternativeNames
    subject: Subject
    usages: tuple[str, ...]
    duration: timedelta
    key: KeySpec
    digest: str


def leaf_request(spec: CertificateSpec, ca: PrivateCASpec) -> LeafRequest:
    """Read a Certificate's spec.

    Raises InvalidSpec, naming the value and the rule, for names or sizes that no certificate can have, and for what no
    Secret can carry.
    """
    names = AlternativeNames.parse(
        dns=spec.dns_names, ips=spec.ip_addresses, uris=spec.uris, emails=spec.email_addresses
    )
    secret_template.check(spec.secret_template)
    subject = _subject(spec)
    usages = tuple(str(usage) for usage in spec.usages or ca.leaf.usages)
    key = KeySpec.of(KeyAlgorithm(str(spec.private_key.algorithm)), spec.private_key.size)
    duration = spec.duration or ca.leaf.duration
    words = (tuple(names), str(subject), sorted(usages), duration.total_seconds(), str(key), spec.private_key.encoding)
    digest = sha256(repr(words).encode()).hexdigest()[:32]
    return LeafRequest(names=names, subject=subject, usages=usages, duration=duration, key=key, digest=digest)


def _subject(spec: CertificateSpec) -> Subject:
    more = spec.subject
    return Subject(
        common_name=spec.common_name,
        organizations=more.organizations,
        organizational_units=more.organizational_units,
        countries=more.countries,
        localities=more.localities,
        provinces=more.provinces,
        street_addresses=more.street_addresses,
        postal_codes=more.postal_codes,
        serial_number=more.serial_number,
    )
