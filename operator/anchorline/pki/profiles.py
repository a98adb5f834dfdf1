"""What a certificate shall be, before it is signed: root, intermediate and leaf profiles, valid by construction."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from anchorline.errors import InvalidSpec, Reason
from anchorline.pki.certificate import Certificate
from anchorline.pki.name_syntax import dns_name
from anchorline.pki.names import AlternativeNames, Subject
from anchorline.pki.usages import DEFAULT_USAGES, Usage, leaf_usages

# Clients' clocks run behind ours now and then.
BACKDATE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class RootProfile:
    """A self-signed CA without a path length; raises InvalidSpec when the subject or the validity cannot be."""

    subject: Subject
    not_before: datetime
    not_after: datetime

    def __post_init__(self) -> None:
        _check_authority_subject(self.subject)
        _check_validity(self.not_before, self.not_after)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntermediateProfile:
    """A CA under another; DNS name constraints (RFC 5280 4.2.1.10) stand here, as Java ignores them on a root.

    `constraints_critical=False` is for mbedTLS 2, which refuses every chain with critical name constraints.
    Raises InvalidSpec.
    """

    subject: Subject
    not_before: datetime
    not_after: datetime
    path_length: int = 0
    permitted_dns: tuple[str, ...] = ()
    excluded_dns: tuple[str, ...] = ()
    constraints_critical: bool = True

    def __post_init__(self) -> None:
        _check_authority_subject(self.subject)
        _check_validity(self.not_before, self.not_after)
        if self.path_length < 0:
            # RFC 5280 4.2.1.9: pathLenConstraint is INTEGER (0..MAX).
            raise InvalidSpec(f"pathLength {self.path_length} is negative")
        for base in (*self.permitted_dns, *self.excluded_dns):
            _check_dns_constraint(base)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafProfile:
    """A certificate that signs no others; its names stand in the SAN, the subject may be empty. Raises InvalidSpec."""

    subject: Subject
    names: AlternativeNames
    usages: tuple[str, ...] = DEFAULT_USAGES
    not_before: datetime
    not_after: datetime

    def __post_init__(self) -> None:
        _check_validity(self.not_before, self.not_after)
        usages = leaf_usages(self.usages)
        if self.names.canonical() != self.names:
            raise InvalidSpec(f"the names {', '.join(self.names)} are not in canonical form")
        if not self.names and Usage.SERVER_AUTH in usages:
            # RFC 9525 2: the common name is no longer looked at.
            raise InvalidSpec(
                'usage "server auth" needs a name in dnsNames, ipAddresses or uris: clients ignore commonName'
            )
        if not self.names and not self.subject:
            # RFC 5280 4.1.2.6: with an empty subject the names must be in the SAN.
            raise InvalidSpec("a certificate needs a subject or at least one name")


def validity(
    now: datetime, duration: timedelta, *, issuer: Certificate | None, ends: datetime | None = None
) -> tuple[datetime, datetime, bool]:
    """Give notBefore, notAfter and whether notAfter had to be capped at the issuer's, or at the chain's `ends` (P3).

    notBefore is five minutes before `now`, but not before the issuer's; `duration` counts from `now`; both are UTC in
    whole seconds (RFC 5280 4.1.2.5). Raises InvalidSpec when nothing is left, above all under an expired issuer.
    """
    if duration <= timedelta(0):
        raise InvalidSpec(f"the duration {duration} is not positive")
    start = now.astimezone(UTC).replace(microsecond=0)
    try:
        not_before, not_after = start - BACKDATE, (start + duration).replace(microsecond=0)
    except OverflowError:
        raise InvalidSpec(f"the duration {duration} ends after the year 9999") from None
    if issuer is None:
        return not_before, not_after, False
    limit = min(issuer.not_after, ends or issuer.not_after)
    not_before, capped = max(not_before, issuer.not_before), not_after > limit
    not_after = min(not_after, limit)
    if start > limit:
        who = f"the issuer {issuer.subject_text}" + (", or what is above it," if limit != issuer.not_after else "")
        raise InvalidSpec(f"{who} expired at {limit:%Y-%m-%dT%H:%M:%SZ}", reason=Reason.EXPIRED)
    if not_after <= not_before:
        # The clock was set back, or the duration ends before the issuer begins.
        raise InvalidSpec(f"nothing of {duration} from {start:%Y-%m-%dT%H:%M:%SZ} is in the issuer's validity")
    return not_before, not_after, capped


def _check_authority_subject(subject: Subject) -> None:
    # RFC 5280 4.1.2.6: a CA must have a non-empty subject. to_x509 checks the lengths.
    if not subject:
        raise InvalidSpec("a certificate authority needs a subject, at least a common name")
    subject.to_x509()


def _check_validity(not_before: datetime, not_after: datetime) -> None:
    for instant in (not_before, not_after):
        # RFC 5280 4.1.2.5: times are GMT and in whole seconds.
        if instant.utcoffset() != timedelta(0) or instant.microsecond:
            raise InvalidSpec(f"{instant.isoformat()} is not a UTC time in whole seconds")
    if not_after <= not_before:
        raise InvalidSpec(f"notAfter {not_after.isoformat()} is not after notBefore {not_before.isoformat()}")


def _check_dns_constraint(base: str) -> None:
    # The dotted form makes pyca and Erlang refuse good leaves.
    if base.startswith("."):
        raise InvalidSpec(f'name constraint "{base}" must be written without the leading dot')
    if dns_name(base, wildcard=False) != base:
        raise InvalidSpec(f'name constraint "{base}" must be lower-case')
