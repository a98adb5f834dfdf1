"""Plan for one PrivateCA: its first root, its intermediates, and its status. Replacing a root is in `rotation`."""

from dataclasses import replace
from datetime import datetime, timedelta

from anchorline.api import naming
from anchorline.api.privateca import Phase, PrivateCA, RootSource
from anchorline.errors import InvalidSpec, Reason
from anchorline.pki import IntermediateProfile, validity
from anchorline.plan import policy, rotation, rotation_start
from anchorline.plan.actions import Action, AnnotateAuthority, CreateIntermediate, DeleteAuthority, Plan
from anchorline.plan.authority import lost, newest, signing_root, trouble
from anchorline.plan.authority_status import status_plan
from anchorline.plan.brought import brought_trouble
from anchorline.plan.findings import Finding, soonest
from anchorline.plan.renewals import intermediate_renewal
from anchorline.plan.roots import key_spec, new_root, record_root, subject_of
from anchorline.plan.world import AuthoritySeen, IntermediateSeen, RootSeen

LOOK_AT_BROUGHT_AGAIN = timedelta(minutes=1)
FIRST = "first root of this CA"


def authority(seen: AuthoritySeen, now: datetime) -> Plan:
    """Bring one PrivateCA's Secrets and status to what they should be."""
    if seen.resource.metadata.deleting:
        return Plan()
    try:
        return _decided(seen, now)
    except InvalidSpec as error:
        # What no certificate can hold, such as an organization of 65 characters: nothing is made until it is changed.
        return status_plan(seen, Finding(reason=error.reason, message=error.message), now, look_again=None)


def _decided(seen: AuthoritySeen, now: datetime) -> Plan:
    found = trouble(seen.material) or lost(seen.resource, seen.material) or _taken(seen)
    if found is None and _brings(seen.resource):
        found = brought_trouble(seen, now)
    if found is not None:
        return status_plan(seen, found, now, look_again=now + LOOK_AT_BROUGHT_AGAIN)
    if not seen.material.roots:
        return Plan(actions=(_first_root(seen, now),), again=True)
    todo = (*_intermediate(seen, now), *_outdated(seen, now), *_policies(seen, now))
    if todo:
        return Plan(actions=todo, again=True)
    turn = rotation.step(seen, now)
    if turn.actions:
        return Plan(actions=(*turn.actions, *rotation.told(seen, turn)), again=True)
    look_again = soonest(turn.look_again, _look_again(seen, now))
    said = status_plan(seen, None, now, look_again=look_again, waiting=turn.waiting)
    return replace(said, actions=(*said.actions, *turn.notes))


def _brings(ca: PrivateCA) -> bool:
    return ca.spec.root.source is RootSource.SECRET


def _taken(seen: AuthoritySeen) -> Finding | None:
    if not seen.foreign:
        return None
    message = (
        f"Secret {seen.foreign} exists in the operator's namespace and is not marked as Anchorline's: it is left as it"
        " is; delete or rename it, or, if it was ours, give it back its label anchorline.dev/managed=true"
    )
    return Finding(reason=Reason.SECRET_NOT_OURS, message=message)


def _first_root(seen: AuthoritySeen, now: datetime) -> Action:
    ca = seen.resource
    number = rotation_start.next_generation(seen)
    brought = seen.material.brought
    if _brings(ca) and brought is not None:
        return record_root(ca, brought, number, Phase.ACTIVE, FIRST, now)
    return new_root(ca, number, Phase.ACTIVE, FIRST, now)


def _intermediate(seen: AuthoritySeen, now: datetime) -> tuple[Action, ...]:
    """The next intermediate under the signing root, when there is none that should sign."""
    root = signing_root(seen.material)
    if root is None or root.certificate is None or not root.has_key or now >= root.certificate.not_after:
        return ()  # a root that has ended signs nothing any more: the next one is rotation's
    why = why_intermediate(seen, root, now)
    return (_new_intermediate(seen, root, why, now),) if why else ()


def why_intermediate(seen: AuthoritySeen, root: RootSeen, now: datetime) -> str:
    """Why a new intermediate is needed, "" when the newest one should go on signing."""
    assert root.certificate is not None  # noqa: S101 - callers have looked
    current = newest(seen.material, root.generation, now)
    if current is None or current.certificate is None:
        return "none is there that can sign"
    spec, have = seen.resource.spec, current.certificate
    if now >= intermediate_renewal(spec, have) and root.certificate.not_after > have.not_after:
        return f"the one before ends at {have.not_after:%Y-%m-%dT%H:%M:%SZ}"
    if set(have.permitted_dns) != set(policy.permitted_domains(spec, seen.cluster_domain)):
        return "the policy grants other names than its name constraints"
    if set(have.excluded_dns) != set(policy.excluded_domains(spec)):
        return "other names are excluded"
    constrained = have.permitted_dns or have.excluded_dns
    if constrained and have.constraints_critical != spec.name_constraints.critical:
        return "nameConstraints.critical changed"
    if have.key_spec != key_spec(spec.intermediate.key):
        return "another kind of key is wanted"
    return ""


def _new_intermediate(seen: AuthoritySeen, root: RootSeen, why: str, now: datetime) -> CreateIntermediate:
    assert root.certificate is not None  # noqa: S101 - callers have looked
    ca, spec = seen.resource, seen.resource.spec
    number = (
        max((each.number for each in seen.material.intermediates if each.generation == root.generation), default=0) + 1
    )
    not_before, not_after, _ = validity(now, spec.intermediate.validity, issuer=root.certificate)
    profile = IntermediateProfile(
        subject=subject_of(ca, f"Intermediate {root.generation}.{number}"),
        not_before=not_before,
        not_after=not_after,
        permitted_dns=policy.permitted_domains(spec, seen.cluster_domain),
        excluded_dns=policy.excluded_domains(spec),
        constraints_critical=spec.name_constraints.critical,
    )
    return CreateIntermediate(
        authority=ca.metadata.name,
        generation=root.generation,
        number=number,
        secret=naming.intermediate_secret(ca.metadata.name, root.generation, number),
        profile=profile,
        key=key_spec(spec.intermediate.key),
        root_secret=root.secret,
        issued_until=min((now + spec.leaf.duration * 1.5).replace(microsecond=0), not_after),
        deletion_policy=str(spec.deletion_policy),
        why=why,
    )


def _outdated(seen: AuthoritySeen, now: datetime) -> tuple[Action, ...]:
    """Intermediates that have expired: nothing under them is valid any more."""
    return tuple(
        DeleteAuthority(secret=each.secret, why=f"it expired at {each.certificate.not_after:%Y-%m-%dT%H:%M:%SZ}")
        for each in seen.material.intermediates
        if _expired(each, now) and not each.brought and each.certificate is not None
    )


def _expired(each: IntermediateSeen, now: datetime) -> bool:
    return each.certificate is not None and now >= each.certificate.not_after


def _policies(seen: AuthoritySeen, now: datetime) -> tuple[Action, ...]:
    """The deletion policy stands on the Secrets, where it is read when the PrivateCA is gone; not on those that go."""
    wanted = str(seen.resource.spec.deletion_policy)
    owned: tuple[RootSeen | IntermediateSeen, ...] = (
        *seen.material.roots,
        *(each for each in seen.material.intermediates if not each.brought and not _expired(each, now)),
    )
    return tuple(
        AnnotateAuthority(
            secret=each.secret, annotations=((naming.KEEP_ANNOTATION, wanted),), why=f"deletionPolicy is {wanted}"
        )
        for each in owned
        if each.deletion_policy != wanted
    )


def orphaned(
    roots: tuple[RootSeen, ...], intermediates: tuple[IntermediateSeen, ...], retired: tuple[str, ...]
) -> Plan:
    """Secrets of a PrivateCA that is gone: deleted if all of them say so, else kept.

    Roots go last: while one is there, it is known what else has to go.
    """
    made = tuple(each for each in intermediates if not each.brought)
    owned: tuple[RootSeen | IntermediateSeen, ...] = (*made, *roots)
    if not owned or any(each.deletion_policy != "Delete" for each in owned):
        return Plan()
    secrets = (*retired, *(each.secret for each in owned))
    return Plan(
        actions=tuple(
            DeleteAuthority(secret=each, why="its PrivateCA was deleted with deletionPolicy Delete") for each in secrets
        )
    )


def _look_again(seen: AuthoritySeen, now: datetime) -> datetime | None:
    root = signing_root(seen.material)
    current = newest(seen.material, root.generation, now) if root else None
    renew = intermediate_renewal(seen.resource.spec, current.certificate) if current and current.certificate else None
    ends = [each.certificate.not_after for each in seen.material.intermediates if each.certificate]
    brought = now + LOOK_AT_BROUGHT_AGAIN if _brings(seen.resource) else None
    replaced = rotation_start.renewal(seen, root) if root else None
    return soonest(*(time for time in (renew, replaced, *ends) if time is not None and time > now), brought)
