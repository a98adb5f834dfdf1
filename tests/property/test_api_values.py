"""Values of the custom resources: what is written is read again as it was, and durations too.

`specs` makes specs that the API server must take, from the very shapes and facts that the schema is made of; the
contract tests put them to a real one.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from anchorline.api import codec
from anchorline.api.certificate import CertificateSpec, CertificateStatus, LeafKey
from anchorline.api.fields import CAKey, LabelRequirement
from anchorline.api.privateca import CASubject, IntermediateSpec, PrivateCASpec, PrivateCAStatus, RootSource, RootSpec
from anchorline.api.shape import Choice, Record, Scalar, Series, Shape, Table, members
from anchorline.api.times import LONGEST

SIZES = {"ECDSA": 384, "RSA": 3072, "Ed25519": None}
LETTERS = st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"])
MOMENTS = st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)).map(lambda at: at.replace(microsecond=0))  # noqa: DTZ001 - hypothesis wants it so
# Words among which each pattern finds some: a regular expression as a strategy is slow, and most of it is refused.
WORDS = ("a", "0", "web-tls", "a-0.b-1.c", "w" * 63, "DE", "AT")
LABELS = st.text("abc", min_size=1, max_size=5)


def _key(key: Any) -> Any:
    return key if key.size is None else replace(key, size=SIZES[key.algorithm])


def _leaf_key(key: LeafKey) -> LeafKey:
    plain = key.algorithm == "Ed25519" and key.encoding == "PKCS1"
    sized: LeafKey = _key(key)
    return replace(sized, encoding=type(key.encoding).PKCS8) if plain else sized


def _root(root: RootSpec) -> RootSpec:
    name = "root" if root.source is RootSource.SECRET else None
    validity = max(root.validity, timedelta(hours=1))
    before = root.renew_before and min(root.renew_before, validity / 2)
    return replace(root, secret_name=name, validity=validity, renew_before=before)


def _intermediate(spec: IntermediateSpec) -> IntermediateSpec:
    validity = max(spec.validity, timedelta(hours=1))
    return replace(spec, validity=validity, renew_before=spec.renew_before and min(spec.renew_before, validity / 2))


def _certificate(spec: CertificateSpec) -> CertificateSpec:
    duration = spec.duration and max(spec.duration, timedelta(seconds=30))
    before = min(spec.renew_before, (duration or LONGEST) / 2) if spec.renew_before else None
    percentage = None if before else spec.renew_before_percentage
    names = spec.dns_names or ("web.shop.svc",)
    return replace(spec, dns_names=names, duration=duration, renew_before=before, renew_before_percentage=percentage)


def _requirement(requirement: LabelRequirement) -> LabelRequirement:
    wanted = requirement.operator in {"In", "NotIn"}
    return replace(requirement, values=("a", "b") if wanted else ())


def _ca(spec: PrivateCASpec) -> PrivateCASpec:
    return replace(spec, subject=spec.subject or CASubject(common_name="Acme"))


def _unique(status: Any) -> Any:
    """Lists that are maps to the API server hold each key once."""
    conditions = tuple({condition.type: condition for condition in status.conditions}.values())
    changed = replace(status, conditions=conditions)
    if isinstance(changed, PrivateCAStatus):
        generations = {generation.number: generation for generation in changed.generations}
        return replace(changed, generations=tuple(generations.values()))
    return changed


# What CEL rules ask between fields; what is asked of one field alone follows from its facts.
REPAIRS: dict[type, Callable[[Any], Any]] = {
    CAKey: _key,
    LeafKey: _leaf_key,
    RootSpec: _root,
    IntermediateSpec: _intermediate,
    CertificateSpec: _certificate,
    LabelRequirement: _requirement,
    PrivateCASpec: _ca,
    PrivateCAStatus: _unique,
    CertificateStatus: _unique,
}


def values(cls: type) -> st.SearchStrategy[Any]:
    """Values of a dataclass that keep to its facts and rules."""
    fields = {member.attribute: _of(member.shape) for member in members(cls)}
    return st.builds(cls, **fields).map(REPAIRS.get(cls, lambda value: value))


def _of(shape: Shape) -> st.SearchStrategy[Any]:
    found = _core(shape)
    return st.none() | found if shape.optional else found


def _core(shape: Shape) -> st.SearchStrategy[Any]:
    match shape.core:
        case Scalar(kind):
            return _scalar(kind, shape)
        case Choice(enum):
            return st.sampled_from(list(enum))
        case Table():
            return st.dictionaries(LABELS, LABELS, max_size=3).map(lambda table: tuple(sorted(table.items())))
        case Series(item):
            return st.lists(_of(item), min_size=shape.facts.get("minItems", 0), max_size=2, unique=True).map(tuple)
        case Record(cls):
            return values(cls)


def _scalar(kind: type, shape: Shape) -> st.SearchStrategy[Any]:
    if kind is str:
        return _text(shape)
    return {
        int: st.integers(shape.facts.get("minimum", -(2**53)), shape.facts.get("maximum", 2**53)),
        bool: st.booleans(),
        datetime: MOMENTS,
        timedelta: st.timedeltas(timedelta(seconds=30), timedelta(days=3650)),
    }[kind]


def _text(shape: Shape) -> st.SearchStrategy[str]:
    facts = shape.facts
    if "enum" in facts:
        return st.sampled_from(facts["enum"])
    if any("isCIDR" in rule.rule for rule in shape.rules):
        return st.sampled_from(["10.0.0.0/8", "fd00::/8", "192.168.7.1/32"])
    low, high = facts.get("minLength", 0), min(facts.get("maxLength", 20), 20)
    if "pattern" in facts:
        return st.sampled_from([word for word in WORDS if re.search(facts["pattern"], word) and low <= len(word)])
    return st.text(LETTERS, min_size=low, max_size=high).filter(lambda text: not text.startswith("."))


SPECS = {cls: values(cls) for cls in (PrivateCASpec, CertificateSpec)}
STATUSES = {cls: values(cls) for cls in (PrivateCAStatus, CertificateStatus)}


@given(st.one_of(*SPECS.values(), *STATUSES.values()))
def test_what_is_written_is_read_again_as_it_was(value: Any) -> None:
    assert codec.decode(type(value), codec.encode(value)) == value


@given(st.timedeltas(timedelta(0), LONGEST))
def test_a_duration_that_is_written_is_read_again_as_it_was(span: timedelta) -> None:
    text = codec.format_duration(span)
    assert codec.parse_duration(text) == span
    assert len(text) <= 32


@given(MOMENTS)
def test_a_moment_that_is_written_is_read_again_as_it_was(moment: datetime) -> None:
    assert codec.parse_time(codec.format_time(moment)) == moment
