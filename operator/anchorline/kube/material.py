"""From an authority's Secrets to what decisions see of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from anchorline.api import naming
from anchorline.api.privateca import Phase
from anchorline.errors import AnchorlineError, CorruptMaterial
from anchorline.kube.views import AuthoritySecret, data
from anchorline.pki import Certificate, PrivateKey, decode_certificates
from anchorline.plan.world import BroughtSeen, IntermediateSeen, Material, RetiredSeen, RootSeen


@dataclass(frozen=True, slots=True, kw_only=True)
class BroughtSecret:
    """A Secret that a user brought; it is read and never changed, and its key is shown to nobody."""

    name: str
    chain: tuple[Certificate, ...] = ()
    key: PrivateKey | None = field(default=None, repr=False)
    problem: str = ""

    @property
    def seen(self) -> BroughtSeen:
        """What decisions see of it."""
        matches = self.key is not None and bool(self.chain) and self.chain[0].matches(self.key)
        return BroughtSeen(secret=self.name, chain=self.chain, has_key=matches, problem=self.problem)


def brought_secret(obj: Mapping[str, Any]) -> BroughtSecret:
    """Read tls.crt, the rest of the chain in ca.crt, and tls.key; what is wrong is said in `problem`."""
    name = obj["metadata"]["name"]
    try:
        chain = decode_certificates(data(obj, naming.TLS_CERT))
        above = decode_certificates(data(obj, naming.CA_CERT))
        if not chain:
            raise CorruptMaterial(f"{naming.TLS_CERT} is missing or holds no certificate")
        if not data(obj, naming.TLS_KEY):
            raise CorruptMaterial(f"{naming.TLS_KEY} is missing")
        key = PrivateKey.from_pem(data(obj, naming.TLS_KEY))
    except AnchorlineError as error:
        return BroughtSecret(name=name, problem=error.message)
    return BroughtSecret(name=name, chain=_completed(chain, above), key=key)


def _completed(chain: tuple[Certificate, ...], above: tuple[Certificate, ...]) -> tuple[Certificate, ...]:
    """The chain up to its root: what tls.crt leaves out is taken from ca.crt, by signature."""
    whole = list(dict.fromkeys(chain))
    while not whole[-1].is_self_signed:
        upper = next((each for each in above if each not in whole and whole[-1].is_issued_by(each)), None)
        if upper is None:
            break
        whole.append(upper)
    return tuple(whole)


def material_of(secrets: Iterable[AuthoritySecret], brought: BroughtSeen | None) -> Material:
    """Everything that makes up one authority, oldest first."""
    mine = sorted(secrets, key=lambda each: (each.generation, each.number))
    roots = tuple(_root(each, brought) for each in mine if each.role == naming.ROLE_ROOT)
    made = tuple(_intermediate(each) for each in mine if each.role == naming.ROLE_INTERMEDIATE)
    retired = tuple(_retired(each) for each in mine if each.role == naming.ROLE_RETIRED)
    return Material(roots=roots, intermediates=(*made, *_brought(roots, brought)), retired=retired, brought=brought)


def _root(secret: AuthoritySecret, brought: BroughtSeen | None) -> RootSeen:
    phase = secret.annotations.get(naming.PHASE_ANNOTATION, "")
    known = phase in list(Phase)
    seen = RootSeen(
        generation=secret.generation,
        secret=secret.name,
        certificate=secret.certificate,
        bridge=secret.bridge,
        has_key=secret.key is not None,
        brought=naming.SOURCE_ANNOTATION in secret.annotations,
        phase=Phase(phase) if known else Phase.ACTIVE,
        since=secret.time(naming.SINCE_ANNOTATION),
        cause=secret.annotations.get(naming.CAUSE_ANNOTATION, ""),
        issued_until=secret.time(naming.ISSUED_UNTIL_ANNOTATION),
        deletion_policy=secret.annotations.get(naming.KEEP_ANNOTATION, ""),
        problem=secret.problem
        or ("" if known else f"annotation {naming.PHASE_ANNOTATION} says {phase!r}, which is no phase"),
    )
    if seen.brought and brought is not None and len(brought.chain) == 1 and brought.chain[0] == secret.certificate:
        return replace(seen, has_key=brought.has_key)
    return seen


def _intermediate(secret: AuthoritySecret) -> IntermediateSeen:
    return IntermediateSeen(
        generation=secret.generation,
        number=secret.number,
        secret=secret.name,
        certificate=secret.certificate,
        has_key=secret.key is not None,
        issued_until=secret.time(naming.ISSUED_UNTIL_ANNOTATION),
        deletion_policy=secret.annotations.get(naming.KEEP_ANNOTATION, ""),
        problem=secret.problem,
    )


def _brought(roots: tuple[RootSeen, ...], brought: BroughtSeen | None) -> tuple[IntermediateSeen, ...]:
    """An intermediate that a user brought signs under the root at the end of its chain."""
    if brought is None or len(brought.chain) < 2 or brought.problem:
        return ()
    root = next((root for root in roots if root.certificate == brought.chain[-1]), None)
    if root is None:
        return ()
    signer = IntermediateSeen(
        generation=root.generation,
        number=0,
        secret=brought.secret,
        certificate=brought.chain[0],
        tail=brought.chain[1:-1],
        has_key=brought.has_key,
        brought=True,
        issued_until=brought.chain[0].not_after,
    )
    return (signer,)


def _retired(secret: AuthoritySecret) -> RetiredSeen:
    return RetiredSeen(
        generation=secret.generation,
        secret=secret.name,
        certificate=secret.certificate,
        since=secret.time(naming.SINCE_ANNOTATION),
        cause=secret.annotations.get(naming.CAUSE_ANNOTATION, ""),
    )
