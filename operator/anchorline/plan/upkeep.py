"""Upkeep of a leaf that cannot be issued anew now: it is still served, so what goes with it stays right (P2)."""

from hashlib import sha256

from anchorline.api.meta import ObjectKey
from anchorline.pki import Certificate
from anchorline.plan.actions import Plan, RewriteLeaf, SecretShape
from anchorline.plan.renewals import issuer_of
from anchorline.plan.world import Authority, CertificateSeen, Issued, LeafSecret


def target(seen: CertificateSeen) -> ObjectKey:
    """The Secret of a Certificate."""
    return ObjectKey("Secret", seen.resource.metadata.namespace, seen.resource.spec.secret_name)


def chain_digest(leaf: Certificate, tail: tuple[Certificate, ...]) -> str:
    """One value for the content of tls.crt; leaves keep their fingerprint at hand, and not their DER."""
    return sha256("".join(each.fingerprint for each in (leaf, *tail)).encode()).hexdigest()[:32]


def upkeep(seen: CertificateSeen) -> Plan:
    """Bring ca.crt and the served chain up to date and leave the rest; nothing when there is nothing to mend.

    A Certificate that is refused, or whose CA has no signer just now, would else hold up a rotation for ever, and go
    on serving a bridge to a root that is gone. What it serves is its old CA's as long as its new CA has not issued.
    """
    secret, authority = seen.secret, seen.serving
    if not isinstance(secret, LeafSecret) or secret.certificate is None or authority is None:
        return Plan()
    if secret.certificate_name != seen.resource.metadata.name or authority.problem or not authority.trust:
        return Plan()
    if authority.signer is None and not secret.trusted <= authority.recorded:
        return Plan()  # a CA without a signer may have lost Secrets: what they held is not taken from anybody (P4)
    issuer = issuer_of(secret.certificate, authority)
    why = _why(secret, secret.certificate, authority, issuer)
    if not why:
        return Plan()
    shape = SecretShape(
        labels=secret.labels,
        annotations=secret.annotations,
        owner=(seen.resource.metadata.name, secret.owner_uid) if secret.owner_uid else None,
        tail=issuer.tail if issuer else (),
        trust=authority.trust,
    )
    rewrite = RewriteLeaf(
        target=target(seen), shape=shape, replaces=secret.resource_version, why=why, keep_chain=issuer is None
    )
    return Plan(actions=(rewrite,), again=True)


def _why(secret: LeafSecret, leaf: Certificate, authority: Authority, issuer: Issued | None) -> str:
    if secret.trust_digest != authority.trust.digest:
        return "ca.crt is not the CA's current trust set"
    if issuer is not None and secret.chain_digest != chain_digest(leaf, issuer.tail):
        return "the served chain is not the one for this phase"
    return ""
