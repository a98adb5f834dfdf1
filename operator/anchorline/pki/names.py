"""Who a certificate is for: the subject's distinguished name and the subject alternative names."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import KW_ONLY, dataclass, field
from ipaddress import ip_address
from typing import Self

from cryptography import x509
from cryptography.x509.oid import NameOID

from anchorline.errors import InvalidSpec
from anchorline.pki import name_syntax

# Field, attribute and upper bound (RFC 5280 appendix A.1; street and postal code: X.520), outermost first.
_ATTRIBUTES = (
    ("countries", NameOID.COUNTRY_NAME, 2),
    ("provinces", NameOID.STATE_OR_PROVINCE_NAME, 128),
    ("localities", NameOID.LOCALITY_NAME, 128),
    ("street_addresses", NameOID.STREET_ADDRESS, 128),
    ("postal_codes", NameOID.POSTAL_CODE, 40),
    ("organizations", NameOID.ORGANIZATION_NAME, 64),
    ("organizational_units", NameOID.ORGANIZATIONAL_UNIT_NAME, 64),
    ("common_name", NameOID.COMMON_NAME, 64),
    ("serial_number", NameOID.SERIAL_NUMBER, 64),
)
# RFC 5280 appendix A.1 makes these two PrintableString; all others are UTF8String (4.1.2.4).
_PRINTABLE = frozenset({"countries", "serial_number"})
_PRINTABLE_STRING = re.compile(r"[A-Za-z0-9 '()+,./:=?-]+")


@dataclass(frozen=True, slots=True)
class Subject:
    """A distinguished name (RFC 5280 4.1.2.6) in the fields that cert-manager's users know; may be empty."""

    common_name: str = ""
    _: KW_ONLY
    organizations: tuple[str, ...] = ()
    organizational_units: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    localities: tuple[str, ...] = ()
    provinces: tuple[str, ...] = ()
    street_addresses: tuple[str, ...] = ()
    postal_codes: tuple[str, ...] = ()
    serial_number: str = ""

    def to_x509(self) -> x509.Name:
        """Encode; raises InvalidSpec when a value is empty, too long, or not writable in its string type."""
        return x509.Name(
            x509.NameAttribute(oid, _attribute_value(field, value, bound))
            for field, oid, bound in _ATTRIBUTES
            for value in _values(getattr(self, field))
        )

    @classmethod
    def from_x509(cls, name: x509.Name) -> Self:
        """Read the attributes that this class knows; others (domainComponent, email) are left out."""
        found = {field: tuple(str(a.value) for a in name.get_attributes_for_oid(oid)) for field, oid, _ in _ATTRIBUTES}
        single = {field: (found.pop(field) or ("",))[-1] for field in ("common_name", "serial_number")}
        return cls(single["common_name"], serial_number=single["serial_number"], **found)

    def __bool__(self) -> bool:
        return any(getattr(self, field) for field, _, _ in _ATTRIBUTES)

    def __str__(self) -> str:
        """RFC 4514: the most specific attribute first."""
        return self.to_x509().rfc4514_string()


def _values(field: str | tuple[str, ...]) -> tuple[str, ...]:
    if isinstance(field, str):
        return (field,) if field else ()
    return field


def _attribute_value(field: str, value: str, bound: int) -> str:
    word = field.replace("_", " ")
    if not value.isprintable():
        raise InvalidSpec(f"subject {word}: {value!r} has a control character")
    # The RFC counts characters; some encoders and readers count the bytes of UTF-8, which is never less.
    if not 0 < len(value.encode()) <= bound:
        raise InvalidSpec(f'subject {word}: "{value}" must have 1 to {bound} characters (in UTF-8: bytes)')
    if field == "countries" and len(value) != bound:
        raise InvalidSpec(f'subject countries: "{value}" must be a two-letter code')
    if field in _PRINTABLE and not _PRINTABLE_STRING.fullmatch(value):
        raise InvalidSpec(f'subject {word}: "{value}" may only have plain letters, digits and \' ( ) + , - . / : = ?')
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class AlternativeNames:
    """Subject alternative names (RFC 5280 4.2.1.6); `parse` makes them canonical, reading a certificate does not."""

    dns: tuple[str, ...] = ()
    ips: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    _canonical: bool = field(default=False, init=False, repr=False, compare=False)

    @classmethod
    def parse(
        cls,
        *,
        dns: Iterable[str] = (),
        ips: Iterable[str] = (),
        uris: Iterable[str] = (),
        emails: Iterable[str] = (),
    ) -> Self:
        """Make names canonical and drop repeated ones; raises InvalidSpec with the bad value and the rule."""
        names = cls(
            dns=_each(name_syntax.dns_name, dns),
            ips=_each(name_syntax.ip_text, ips),
            uris=_each(name_syntax.uri, uris),
            emails=_each(name_syntax.email, emails),
        )
        object.__setattr__(names, "_canonical", True)
        return names

    def canonical(self) -> "AlternativeNames":
        """The same names as `parse` would write them; raises InvalidSpec like it."""
        if self._canonical:
            return self
        return AlternativeNames.parse(dns=self.dns, ips=self.ips, uris=self.uris, emails=self.emails)

    def to_x509(self) -> x509.SubjectAlternativeName:
        """Encode as an extension value."""
        return x509.SubjectAlternativeName(
            [
                *map(x509.DNSName, self.dns),
                *(x509.IPAddress(ip_address(ip)) for ip in self.ips),
                *map(x509.UniformResourceIdentifier, self.uris),
                *map(x509.RFC822Name, self.emails),
            ]
        )

    @classmethod
    def from_x509(cls, certificate: x509.Certificate) -> Self:
        """Read a certificate's names as they are; kinds that this class does not know are left out."""
        try:
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return cls()
        return cls(
            dns=tuple(names.get_values_for_type(x509.DNSName)),
            ips=tuple(str(ip) for ip in names.get_values_for_type(x509.IPAddress)),
            uris=tuple(names.get_values_for_type(x509.UniformResourceIdentifier)),
            emails=tuple(names.get_values_for_type(x509.RFC822Name)),
        )

    def __bool__(self) -> bool:
        return bool(self.dns or self.ips or self.uris or self.emails)

    def __iter__(self) -> Iterator[str]:
        kinds = (("DNS", self.dns), ("IP", self.ips), ("URI", self.uris), ("email", self.emails))
        return (f"{kind}:{value}" for kind, values in kinds for value in values)


def _each(rule: Callable[[str], str], values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(rule, values)))
