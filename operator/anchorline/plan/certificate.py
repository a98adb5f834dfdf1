"""Plan for one Certificate: whether its Secret is right, and if not, what makes it right and why."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from anchorline.api import naming
from anchorline.api.certificate import CertificateSpec, RotationPolicy
from anchorline.api.fields import DeletionPolicy
from anchorline.api.privateca import PrivateCA
from anchorline.errors import InvalidSpec, Reason
from anchorline.pki import Certificate, LeafProfile, validity
from anchorline.plan import certificate_events, policy
from anchorline.plan.actions import Action, AnnotateAuthority, IssueLeaf, Plan, RewriteLeaf, SecretShape
from anchorline.plan.certificate_status import status_plan
from anchorline.plan.findings import Finding, joined, soonest
from anchorline.plan.leaf_request import LeafRequest, leaf_request
from anchorline.plan.remembered import by_identity
from anchorline.plan.renewals import LATE, due, expected, issuer_of, reissue_at
from anchorline.plan.upkeep import chain_digest, target, upkeep
from anchorline.plan.world import Authority, CertificateSeen, ForeignObject, LeafSecret, NamespaceSeen, Signer

LOOK_AT_FOREIGN_AGAIN = timedelta(minutes=1)
LOOK_AT_DENIED_AGAIN = timedelta(minutes=1)
LOOK_AT_NEW_CA_AGAIN = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A Certificate that can be served: its wish, who signs, and what is there."""

    seen: CertificateSeen
    request: LeafRequest
    authority: Authority
    signer: Signer
    now: datetime

    @property
    def secret(self) -> LeafSecret | None:
        return self.seen.secret if isinstance(self.seen.secret, LeafSecret) else None

    @property
    def leaf(self) -> Certificate | None:
        secret = self.secret
        return secret.certificate if secret else None


def certificate(seen: CertificateSeen, now: datetime) -> Plan:
    """Bring one Certificate's Secret and status to what they should be."""
    if seen.resource.metadata.deleting or seen.namespace.deleting:
        return Plan()
    if _comes(seen):
        return upkeep(seen) or Plan(look_again=now + LOOK_AT_NEW_CA_AGAIN)
    refused = _refused(seen)
    if isinstance(refused, Finding):
        kept = upkeep(seen)
        if kept:
            return kept
        again = now + LOOK_AT_FOREIGN_AGAIN if isinstance(seen.secret, ForeignObject) else None
        return status_plan(seen, refused, now, look_again=again)
    assert seen.authority is not None and seen.authority.signer is not None  # noqa: S101, PT018 - _refused has looked
    case = _Case(seen=seen, request=refused, authority=seen.authority, signer=seen.authority.signer, now=now)
    why = why_issue(case)
    stale = _why_rewrite(case) if why is None else ""
    if seen.denied and (why is not None or stale):
        denied = Finding(reason=Reason.FORBIDDEN, message=seen.denied)
        return status_plan(seen, denied, now, look_again=now + LOOK_AT_DENIED_AGAIN)
    if why is not None:
        return _issue_or_refuse(case, why)
    if stale:
        return Plan(actions=(_rewrite(case, stale),), again=True)
    return status_plan(seen, None, now, look_again=_look_again(case))


def _comes(seen: CertificateSeen) -> bool:
    """Whether the CA is only just being made: its first event goes on, and nothing needs to be said before."""
    return seen.authority is not None and seen.authority.signer is None and not seen.authority.problem


def _refused(seen: CertificateSeen) -> Finding | LeafRequest:
    """The first thing that stands in the way, or the wish when nothing does."""
    spec, ca, authority = seen.resource.spec, seen.ca, seen.authority
    if isinstance(seen.secret, ForeignObject):
        return Finding(reason=Reason.SECRET_NOT_OURS, message=_not_ours(seen))
    if seen.rival:
        return Finding(
            reason=Reason.SECRET_CONTESTED,
            message=f"Secret {spec.secret_name} is the older Certificate {seen.rival}'s; choose another secretName",
        )
    if ca is None or authority is None:
        return Finding(
            reason=Reason.AUTHORITY_NOT_FOUND,
            message=f"PrivateCA {spec.ca_ref.name} does not exist; create it or correct spec.caRef.name",
        )
    asked = _asked(spec, seen.namespace, ca, seen.cluster_domain)
    if isinstance(asked, Finding):
        return asked
    if authority.signer is None:
        return Finding(
            reason=Reason.AUTHORITY_NOT_READY,
            message=f"PrivateCA {ca.metadata.name} cannot sign: {authority.problem}",
        )
    return _outside(asked, spec, authority.signer) or asked


@by_identity(256)
def _asked(
    spec: CertificateSpec, namespace: NamespaceSeen, ca: PrivateCA, cluster_domain: str
) -> Finding | LeafRequest:
    """The wish, or why this namespace may not have it."""
    try:
        request = leaf_request(spec, ca.spec)
    except InvalidSpec as error:
        return Finding(reason=error.reason, message=error.message)
    denied = policy.refusals(spec, request.names, namespace, ca, cluster_domain)
    return joined(denied) if denied else request


@by_identity(256)
def _outside(request: LeafRequest, spec: CertificateSpec, signer: Signer) -> Finding | None:
    """What the constraints of this signer do not allow."""
    outside = policy.outside_constraints(
        request.names, spec.common_name, request.usages, signer.certificate, signer.above
    )
    return joined(outside) if outside else None


def _not_ours(seen: CertificateSeen) -> str:
    return (
        f"Secret {seen.resource.spec.secret_name} exists in namespace {seen.namespace.name} and is not marked as"
        " Anchorline's: it is left as it is; choose another secretName, or delete it"
    )


def why_issue(case: _Case) -> Finding | None:
    """The first reason for a new certificate, None when the one that is there fits."""
    return next((found for check in _CHECKS if (found := check(case)) is not None), None)


def _missing(case: _Case) -> Finding | None:
    if case.secret is None:
        return Finding(reason="DoesNotExist", message="there is no Secret yet")
    return None


def _unusable(case: _Case) -> Finding | None:
    secret = case.secret
    if secret is not None and (secret.problem or secret.certificate is None):
        return Finding(reason="InvalidKeyPair", message=secret.problem or "the Secret holds no certificate")
    return None


def _changed(case: _Case) -> Finding | None:
    secret = case.secret
    if secret is not None and secret.request != case.request.digest:
        return Finding(reason="RequestChanged", message="the Certificate's spec or the CA's leaf defaults changed")
    return None


def _other_content(case: _Case) -> Finding | None:
    leaf, secret = case.leaf, case.secret
    assert leaf is not None and secret is not None  # noqa: S101, PT018 - earlier checks
    if leaf.names != case.request.names or leaf.subject != case.request.subject:
        return Finding(reason="IncorrectCertificate", message="the Secret's certificate is for other names")
    if secret.key_spec != case.request.key:
        return Finding(reason="IncorrectCertificate", message="the Secret's key is of another kind")
    return None


def _other_issuer(case: _Case) -> Finding | None:
    assert case.leaf is not None  # noqa: S101
    issuer = issuer_of(case.leaf, case.authority)
    if issuer is None:
        return Finding(reason="IncorrectIssuer", message=f"it was not issued by PrivateCA {case.authority.name}")
    moves = issuer.generation != case.signer.generation and not case.authority.paused
    if moves and case.now >= reissue_at(case.seen.resource, case.authority):
        return Finding(
            reason="Rotating",
            message=f"its root, generation {issuer.generation}, is replaced by generation {case.signer.generation}",
        )
    return None


def _outlives(case: _Case) -> Finding | None:
    assert case.leaf is not None  # noqa: S101
    issuer = issuer_of(case.leaf, case.authority)
    if issuer is not None and case.leaf.not_after > issuer.ends:
        return Finding(reason="IncorrectCertificate", message="it would outlive its issuer")
    return None


def _due(case: _Case) -> Finding | None:
    assert case.leaf is not None  # noqa: S101
    if case.now >= case.leaf.not_after:
        return Finding(reason="Expired", message=f"it expired at {case.leaf.not_after:%Y-%m-%dT%H:%M:%SZ}")
    if case.now >= due(case.seen, case.leaf):
        return Finding(
            reason="Renewing", message=f"it is due for renewal; it ends at {case.leaf.not_after:%Y-%m-%dT%H:%M:%SZ}"
        )
    return None


_CHECKS = (_missing, _unusable, _changed, _other_content, _other_issuer, _outlives, _due)


def _issue_or_refuse(case: _Case, why: Finding) -> Plan:
    try:
        return _issue(case, why)
    except InvalidSpec as error:
        # What no certificate can be, or a signer that has just expired and is being replaced.
        found = Finding(reason=error.reason, message=error.message)
        return status_plan(case.seen, found, case.now, look_again=case.now + LOOK_AT_FOREIGN_AGAIN)


def _issue(case: _Case, why: Finding) -> Plan:
    spec = case.seen.resource.spec
    signer = case.signer
    not_before, not_after, capped = validity(
        case.now, case.request.duration, issuer=signer.certificate, ends=signer.ends
    )
    profile = LeafProfile(
        subject=case.request.subject,
        names=case.request.names,
        usages=case.request.usages,
        not_before=not_before,
        not_after=not_after,
    )
    keep = (
        spec.private_key.rotation_policy is RotationPolicy.NEVER and case.secret is not None and not case.secret.problem
    )
    issue = IssueLeaf(
        target=target(case.seen),
        profile=profile,
        key=case.request.key,
        encoding=spec.private_key.encoding,
        reuse_key=keep and case.secret is not None and case.secret.key_spec == case.request.key,
        signer_secret=signer.secret,
        shape=shape(case, signer.tail, revision=(case.secret.revision if case.secret else 0) + 1),
        replaces=case.secret.resource_version if case.secret else "",
        why=f"{why.reason}: {why.message}",
    )
    return Plan(
        actions=(
            *_horizon(signer, not_after, case.now),
            issue,
            *certificate_events.replaced(case.seen, why),
            *(certificate_events.capped(case.seen, case.request.duration, signer, not_after) if capped else ()),
        ),
        again=True,
    )


def _horizon(signer: Signer, not_after: datetime, now: datetime) -> tuple[Action, ...]:
    """Before a certificate reaches beyond the horizon, the horizon is moved: half a life further, so seldom."""
    if not_after <= signer.issued_until:
        return ()
    until = min(not_after + (not_after - now) / 2, signer.ends)
    return (
        AnnotateAuthority(
            secret=signer.horizon_secret,
            annotations=((naming.ISSUED_UNTIL_ANNOTATION, f"{until:%Y-%m-%dT%H:%M:%SZ}"),),
            why="certificates issued by it may last until then",
        ),
    )


def shape(case: _Case, tail: tuple[Certificate, ...], *, revision: int) -> SecretShape:
    """What the Secret carries around the leaf; what others added to its metadata stays while the template does."""
    meta, spec = case.seen.resource.metadata, case.seen.resource.spec
    template = sha256(repr(spec.secret_template).encode()).hexdigest()[:16]
    secret = case.secret
    # When the template changed, what is there may be the old template's: only what is said now is kept.
    kept = secret is not None and (naming.TEMPLATE_ANNOTATION, template) in secret.annotations
    labels = {
        **(dict(secret.labels) if secret is not None and kept else {}),
        **dict(spec.secret_template.labels),
        naming.MANAGED_LABEL: naming.MANAGED,
        naming.ROLE_LABEL: naming.ROLE_LEAF,
        naming.AUTHORITY_LABEL: case.authority.name,
    }
    annotations = {
        **(dict(secret.annotations) if secret is not None and kept else {}),
        **dict(spec.secret_template.annotations),
        naming.CERTIFICATE_ANNOTATION: meta.name,
        naming.REQUEST_ANNOTATION: case.request.digest,
        naming.REVISION_ANNOTATION: str(revision),
        naming.TEMPLATE_ANNOTATION: template,
    }
    owned = spec.deletion_policy is DeletionPolicy.DELETE
    return SecretShape(
        labels=tuple(sorted(labels.items())),
        annotations=tuple(sorted(annotations.items())),
        owner=(meta.name, meta.uid) if owned else None,
        tail=tail,
        trust=case.authority.trust,
    )


def _why_rewrite(case: _Case) -> str:
    secret, leaf = case.secret, case.leaf
    assert secret is not None and leaf is not None  # noqa: S101, PT018
    wanted = _kept_shape(case)
    if secret.trust_digest != wanted.trust.digest:
        return "ca.crt is not the CA's current trust set"
    if secret.chain_digest != chain_digest(leaf, wanted.tail):
        return "the served chain is not the one for this phase"
    if not _same_metadata(secret, wanted):
        return "labels, annotations or owner are not what the Certificate says"
    return ""


def _same_metadata(secret: LeafSecret, wanted: SecretShape) -> bool:
    """Whether all that we say is there; what others add to the Secret's metadata is theirs."""
    owner = wanted.owner[1] if wanted.owner else ""
    return (
        secret.owner_uid == owner
        and set(wanted.labels) <= set(secret.labels)
        and set(wanted.annotations) <= set(secret.annotations)
    )


def _kept_shape(case: _Case) -> SecretShape:
    secret, leaf = case.secret, case.leaf
    assert secret is not None and leaf is not None  # noqa: S101, PT018
    issuer = issuer_of(leaf, case.authority)
    return shape(case, issuer.tail if issuer else case.signer.tail, revision=secret.revision)


def _rewrite(case: _Case, why: str) -> RewriteLeaf:
    assert case.secret is not None  # noqa: S101
    return RewriteLeaf(
        target=target(case.seen), shape=_kept_shape(case), replaces=case.secret.resource_version, why=why
    )


def _look_again(case: _Case) -> datetime | None:
    assert case.leaf is not None  # noqa: S101
    issuer = issuer_of(case.leaf, case.authority)
    turn = None
    if issuer is not None and issuer.generation != case.signer.generation and not case.authority.paused:
        turn = reissue_at(case.seen.resource, case.authority)
    told = expected(case.seen, case.leaf, case.now)
    late = told + LATE if told is not None and told < due(case.seen, case.leaf) else None
    return soonest(due(case.seen, case.leaf), turn, late, case.authority.look_again)
