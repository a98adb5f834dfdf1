"""New roots: made here, or recorded from a Secret that a user brought."""

from datetime import datetime

from anchorline.api import naming
from anchorline.api.fields import CAKey
from anchorline.api.privateca import Phase, PrivateCA
from anchorline.pki import KeyAlgorithm, KeySpec, RootProfile, Subject, validity
from anchorline.plan.actions import CreateRoot, RecordRoot
from anchorline.plan.world import BroughtSeen

MAX_COMMON_NAME = 64


def key_spec(key: CAKey) -> KeySpec:
    """The key of a CA, in X.509's words."""
    return KeySpec.of(KeyAlgorithm(str(key.algorithm)), key.size)


def subject_of(ca: PrivateCA, what: str) -> Subject:
    """Distinguished name of a CA certificate; the generation makes a new root's subject new (facts: rule 10).

    A long common name gives way to it: 64 characters is all that there is (RFC 5280 appendix A.1).
    """
    spec = ca.spec.subject
    if spec is None:
        return Subject(common_name=f"{ca.metadata.name} {what}")
    return Subject(
        common_name=f"{spec.common_name[: MAX_COMMON_NAME - len(what) - 1]} {what}",
        organizations=spec.organizations,
        organizational_units=spec.organizational_units,
        countries=spec.countries,
        localities=spec.localities,
        provinces=spec.provinces,
    )


def new_root(ca: PrivateCA, number: int, phase: Phase, cause: str, now: datetime) -> CreateRoot:
    """A root that is made here, without a bridge."""
    not_before, not_after, _ = validity(now, ca.spec.root.validity, issuer=None)
    return CreateRoot(
        authority=ca.metadata.name,
        generation=number,
        secret=naming.root_secret(ca.metadata.name, number),
        profile=RootProfile(subject=subject_of(ca, f"Root {number}"), not_before=not_before, not_after=not_after),
        key=key_spec(ca.spec.root.key),
        phase=phase,
        since=now.replace(microsecond=0),
        cause=cause,
        deletion_policy=str(ca.spec.deletion_policy),
    )


def record_root(
    ca: PrivateCA, brought: BroughtSeen, number: int, phase: Phase, cause: str, now: datetime
) -> RecordRoot:
    """A root that a user brought."""
    return RecordRoot(
        authority=ca.metadata.name,
        generation=number,
        secret=naming.root_secret(ca.metadata.name, number),
        certificate=brought.chain[-1],
        source=brought.secret,
        phase=phase,
        since=now.replace(microsecond=0),
        cause=cause,
        deletion_policy=str(ca.spec.deletion_policy),
    )
