"""The lab's own certificates: one CA, one serving certificate for loopback, one client certificate for each user.

Made with `cryptography` alone, on purpose not with Anchorline's own `pki`: the lab judges that room.
"""

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFE = dt.timedelta(days=365)
_CLOCK_SKEW = dt.timedelta(hours=1)
_BOTH_SIDES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)

SERVING_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
SERVING_ADDRESSES = ("127.0.0.1", "10.96.0.1", "172.30.0.1")  # the last one is the kubelet's, where there is one


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate with its key; the key stays out of `repr`."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def __repr__(self) -> str:
        return f"Pair({self.certificate.subject.rfc4514_string()})"

    @property
    def pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key as unencrypted PKCS#8 PEM."""
        return private_pem(self.key)

    def write(self, folder: Path, name: str) -> None:
        """Write `name.crt` and `name.key` into `folder`, which only its owner may enter."""
        (folder / f"{name}.crt").write_bytes(self.pem)
        (folder / f"{name}.key").write_bytes(self.key_pem)


def authority(now: dt.datetime) -> Pair:
    """Make the lab's CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("anchorline-lab", None)
    draft = _draft(name, name, key.public_key(), now)
    draft = draft.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    draft = draft.add_extension(_key_usage(ca=True), critical=True)
    return Pair(certificate=draft.sign(key, hashes.SHA256()), key=key)


def serving(ca: Pair, now: dt.datetime) -> Pair:
    """Make the certificate that etcd and the API server present; to its peers etcd is a client with it, too."""
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in SERVING_NAMES]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in SERVING_ADDRESSES]
    return _leaf(ca, _name("anchorline-lab-server", None), now, x509.SubjectAlternativeName(names))


def client(ca: Pair, user: str, group: str | None, now: dt.datetime) -> Pair:
    """Make a certificate that the API server takes for `user` in `group`."""
    return _leaf(ca, _name(user, group), now, None)


def signing_key() -> ec.EllipticCurvePrivateKey:
    """Make the key that signs service account tokens."""
    return ec.generate_private_key(ec.SECP256R1())


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Encode a private key as unencrypted PKCS#8 PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Encode the public half of a key as PEM."""
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _leaf(ca: Pair, subject: x509.Name, now: dt.datetime, names: x509.SubjectAlternativeName | None) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    draft = _draft(subject, ca.certificate.subject, key.public_key(), now)
    draft = draft.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    draft = draft.add_extension(_key_usage(ca=False), critical=True)
    draft = draft.add_extension(x509.ExtendedKeyUsage(_BOTH_SIDES), critical=False)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key())
    draft = draft.add_extension(identifier, critical=False)
    if names:
        draft = draft.add_extension(names, critical=False)
    return Pair(certificate=draft.sign(ca.key, hashes.SHA256()), key=key)


def _draft(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str, organization: str | None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organization:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)
