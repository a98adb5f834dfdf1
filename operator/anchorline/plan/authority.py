"""What an authority's Secrets mean: what is trusted, what signs, and what is served after a leaf, at a given moment."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from anchorline.api.privateca import Phase, PrivateCA
from anchorline.errors import Reason
from anchorline.pki import Certificate, TrustBundle
from anchorline.plan.findings import Finding, soonest
from anchorline.plan.world import Authority, IntermediateSeen, Issued, Material, RootSeen, Signer

# A cross certificate is taken out of the served chains this long before it ends: an expired one is never sent.
BRIDGE_MARGIN = timedelta(minutes=15)


# How the cause of a generation begins: the reason that a person gave follows.
COMPROMISED, AT_ONCE = "compromised: ", "compromised, at once: "


def is_compromise(cause: str) -> bool:
    """Whether a root was made because the ones before must not be trusted any more."""
    return cause.startswith((COMPROMISED, AT_ONCE))


def trouble(material: Material) -> Finding | None:
    """The first thing in an authority's Secrets that a person has to mend (P4); nothing is touched until then."""
    seen: tuple[RootSeen | IntermediateSeen, ...] = (*material.roots, *material.intermediates)
    for each in seen:
        if each.problem:
            return Finding(reason=Reason.CORRUPT_MATERIAL, message=_mend(each.secret, each.problem))
    roots = {root.generation: root for root in material.roots}
    for root in material.roots:
        if root.certificate is not None and not _is_root(root.certificate):
            return _mismatch(root.secret, f"{root.certificate.subject_text} in it is not a root")
    for lower in material.intermediates:
        upper = roots.get(lower.generation)
        if upper is None and not lower.brought:
            message = _mend(lower.secret, f"its root, generation {lower.generation}, is missing")
            return Finding(reason=Reason.MATERIAL_INCOMPLETE, message=message)
        if upper is not None and not lower.brought and not _is_under(lower, upper):
            return _mismatch(lower.secret, f"its certificate was not made by the root in Secret {upper.secret}")
    return None


def _is_root(certificate: Certificate) -> bool:
    return certificate.is_ca and certificate.is_self_signed


def _is_under(lower: IntermediateSeen, upper: RootSeen) -> bool:
    """By name and key identifier; every leaf is looked at by signature."""
    one, other = lower.certificate, upper.certificate
    return bool(one and other and one.is_ca and one.authority_key_id == other.key_id and one.issuer == other.subject)


def _mismatch(secret: str, problem: str) -> Finding:
    return Finding(reason=Reason.KEY_MISMATCH, message=_mend(secret, problem))


def lost(ca: PrivateCA, material: Material) -> Finding | None:
    """A root that the status knows and the cluster does not have any more: nothing is made in its place (P4)."""
    there = {root.generation for root in material.roots} | {each.generation for each in material.retired}
    gone = [each for each in ca.status.generations if each.phase is not Phase.RETIRED and each.number not in there]
    if not gone:
        return None
    names, numbers = ", ".join(each.secret_name for each in gone), ", ".join(str(each.number) for each in gone)
    edit = f"kubectl edit privateca {ca.metadata.name} --subresource status"
    return Finding(
        reason=Reason.MATERIAL_INCOMPLETE,
        message=(
            f"Secret {names} is gone; restore it from a backup. Nothing is made in its place; to go on without"
            f" generation {numbers}, take it out of the status: {edit}"
        ),
    )


def _mend(secret: str, problem: str) -> str:
    return (
        f"Secret {secret} cannot be used: {problem}; restore it from a backup. Nothing is made in its place, nothing of"
        " this CA is changed, and certificates that exist stay valid"
    )


def trust_of(material: Material, now: datetime) -> TrustBundle:
    """Every root that is not retired, newest first; expired ones are dropped unless nothing would be left."""
    roots = [root.certificate for root in material.roots if root.certificate is not None and _is_root(root.certificate)]
    return TrustBundle.of(roots, now=now) or TrustBundle.of(roots, now=None)


def signing_root(material: Material) -> RootSeen | None:
    """The newest active root."""
    active = [root for root in material.roots if root.phase is Phase.ACTIVE and root.certificate is not None]
    return max(active, key=lambda root: root.generation, default=None)


def usable(each: IntermediateSeen, now: datetime) -> bool:
    """Whether an intermediate can sign now."""
    return bool(each.certificate and each.has_key and not each.problem and each.certificate.not_after > now)


def newest(material: Material, generation: int, now: datetime) -> IntermediateSeen | None:
    """The newest usable intermediate under a root."""
    mine = [each for each in material.intermediates if each.generation == generation and usable(each, now)]
    return max(mine, key=lambda each: each.number, default=None)


def bridge_of(root: RootSeen, material: Material, now: datetime) -> Certificate | None:
    """The cross certificate that is served under a root: only while it lasts and the root that signed it is trusted."""
    bridge = root.bridge
    if bridge is None or now >= bridge.not_after - BRIDGE_MARGIN:
        return None
    older = (each.certificate for each in material.roots if each.generation < root.generation)
    return bridge if any(each is not None and bridge.is_issued_by(each) for each in older) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    material: Material
    now: datetime

    def root(self, generation: int) -> RootSeen | None:
        return next((root for root in self.material.roots if root.generation == generation), None)

    def tail(self, each: IntermediateSeen) -> tuple[Certificate, ...]:
        assert each.certificate is not None  # noqa: S101 - only readable intermediates get here
        root = self.root(each.generation)
        bridge = bridge_of(root, self.material, self.now) if root else None
        return (each.certificate, *each.tail, *((bridge,) if bridge else ()))

    def above(self, each: IntermediateSeen) -> tuple[Certificate, ...]:
        """What is over an intermediate, the root last."""
        root = self.root(each.generation)
        return (*each.tail, *((root.certificate,) if root is not None and root.certificate is not None else ()))

    def issued(self) -> tuple[Issued, ...]:
        return tuple(
            Issued(
                generation=each.generation,
                certificate=each.certificate,
                tail=self.tail(each),
                ends=_end(each.certificate, self.above(each)),
            )
            for each in self.material.intermediates
            if each.certificate is not None
        )

    def signer(self, generation: int) -> Signer | None:
        each, root = newest(self.material, generation, self.now), self.root(generation)
        if each is None or each.certificate is None or root is None:
            return None
        # A Secret that a user brought is never changed: its horizon stands on our record of its root.
        horizon, above = root if each.brought else each, self.above(each)
        ends = _end(each.certificate, above)
        return Signer(
            generation=generation,
            secret=each.secret,
            certificate=each.certificate,
            tail=self.tail(each),
            issued_until=horizon.issued_until,
            horizon_secret=horizon.secret,
            above=above,
            ends=ends,
            followed=not each.brought and all(upper.not_after > ends for upper in above),
        )


def _end(certificate: Certificate, above: tuple[Certificate, ...]) -> datetime:
    return min(each.not_after for each in (certificate, *above))


def authority_of(
    name: str, material: Material, now: datetime, *, reissue_over: timedelta = timedelta(0), paused: bool = False
) -> Authority:
    """What the Secrets of the PrivateCA `name` mean now; `reissue_over` and `paused` are its `spec.rotation`.

    The signer is under the newest active root that has a usable intermediate, so that there is one while the
    intermediate of a root that has just become active is still being made.
    """
    view = _View(material=material, now=now)
    base = Authority(
        name=name,
        trust=trust_of(material, now),
        recorded=_recorded(material),
        issuers=view.issued(),
        look_again=_changes(material, now),
        reissue_over=reissue_over,
        paused=paused,
    )
    found = trouble(material)
    if found is not None:
        return replace(base, problem=found.message, problem_reason=found.reason)
    active = sorted((root for root in material.roots if root.phase is Phase.ACTIVE), key=lambda root: -root.generation)
    for root in active:
        signer = view.signer(root.generation)
        if signer is not None:
            over = timedelta(0) if is_compromise(root.cause) else reissue_over
            return replace(base, signer=signer, reissue_from=root.since, reissue_over=over)
        if is_compromise(root.cause):
            break  # what is older must not sign any more
    return base


def _recorded(material: Material) -> frozenset[str]:
    roots = (*(each.certificate for each in material.roots), *(each.certificate for each in material.retired))
    return frozenset(each.fingerprint for each in roots if each is not None)


def _changes(material: Material, now: datetime) -> datetime | None:
    """When the meaning changes by time alone: a cross certificate or a root comes to its end."""
    ends = [root.bridge.not_after - BRIDGE_MARGIN for root in material.roots if root.bridge is not None]
    ends += [root.certificate.not_after for root in material.roots if root.certificate is not None]
    return soonest(*(end for end in ends if end > now))
