"""Raw objects to values and back: each type, each default, and the path in each complaint."""

from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest
from tests.unit.api.sample import Colour, Inner, Sample

from anchorline.api import codec
from anchorline.api.certificate import Certificate, CertificateStatus
from anchorline.api.meta import Condition, ConditionStatus, Metadata
from anchorline.api.privateca import PrivateCA
from anchorline.errors import InvalidSpec

RAW: dict[str, Any] = {
    "name": "x",
    "inner": {"size": 7, "kept": "90m"},
    "colour": "Green",
    "on": True,
    "number": 3,
    "shortFor": "30s",
    "seen": "2027-01-04T10:00:00Z",
    "permittedDNSDomains": ["acme.example"],
    "colours": ["Green"],
    "others": [{"size": 8}],
    "labels": {"b": "2", "a": "1"},
    "note": "well",
}
VALUE = Sample(
    name="x",
    inner=Inner(size=7, kept=timedelta(minutes=90)),
    colour=Colour.GREEN,
    on=True,
    number=3,
    short_for=timedelta(seconds=30),
    seen=datetime(2027, 1, 4, 10, tzinfo=UTC),
    permitted_dns_domains=("acme.example",),
    colours=(Colour.GREEN,),
    others=(Inner(size=8),),
    labels=(("a", "1"), ("b", "2")),
    note="well",
)


def test_every_kind_of_field_is_read() -> None:
    assert codec.decode(Sample, RAW) == VALUE


def test_what_is_absent_or_null_gets_its_default() -> None:
    assert codec.decode(Sample, {"name": "x"}) == Sample(name="x")
    assert codec.decode(Sample, {"name": "x", "number": None, "inner": None, "described": {}}) == Sample(name="x")


def test_a_field_of_a_newer_crd_is_passed_over() -> None:
    assert codec.decode(Sample, {"name": "x", "later": [1]}) == Sample(name="x")


def test_any_mapping_and_a_tuple_for_a_list_will_do() -> None:
    assert codec.decode(Sample, MappingProxyType({"name": "x", "colours": ("Red",)})).colours == (Colour.RED,)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"name": None}, "name is missing"),
        ({"name": 5}, "name must be a string, not a whole number"),
        ({"inner": []}, "inner must be an object, not a list"),
        ({"inner": {"size": "7"}}, "inner.size must be a whole number, not a string"),
        ({"number": True}, "number must be a whole number, not true or false"),
        ({"number": 1.5}, "number must be a whole number, not a fraction"),
        ({"on": "yes"}, "on must be true or false, not a string"),
        ({"colour": "Blue"}, "colour must be one of Red, Green"),
        ({"colour": ["Red"]}, "colour must be one of Red, Green"),
        ({"colours": "Red"}, "colours must be a list, not a string"),
        ({"colours": ["Red", None]}, r"colours\[1\] must be one of Red, Green"),
        ({"others": [{}, {"size": {}}]}, r"others\[1\].size must be a whole number, not an object"),
        ({"permittedDNSDomains": [b"x"]}, r"permittedDNSDomains\[0\] must be a string, not something else"),
        ({"labels": {"a": 1}}, r"labels\[a\] must be a string, not a whole number"),
        ({"shortFor": "1d"}, "shortFor cannot be read: '1d' is not a duration"),
        ({"seen": "soon"}, "seen cannot be read: 'soon' is not a time"),
        ({"seen": 5}, "seen must be a string"),
    ],
)
def test_a_wrong_value_is_named_by_its_path(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidSpec, match=f"^{complaint}"):
        codec.decode(Sample, RAW | change)


def test_what_is_no_object_at_all_is_refused() -> None:
    with pytest.raises(InvalidSpec, match=r"^the object must be an object, not a list"):
        codec.decode(Sample, [])  # type: ignore[arg-type]


def test_every_kind_of_field_is_written() -> None:
    assert codec.encode(VALUE) == RAW | {
        "inner": {"size": 7, "kept": "1h30m"},
        "described": {"size": 1, "kept": "1h"},
        "others": [{"size": 8, "kept": "1h"}],
    }


def test_what_is_empty_is_left_out_and_what_is_false_or_zero_is_not() -> None:
    assert codec.encode(CertificateStatus()) == {"observedGeneration": 0, "revision": 0}
    assert codec.encode(Sample(name="x"))["on"] is False


def test_an_empty_list_is_written_where_the_default_is_another() -> None:
    assert codec.encode(Sample(name="x", colours=()))["colours"] == []


def test_words_are_written_as_plain_strings_that_yaml_and_json_know() -> None:
    assert type(codec.encode(VALUE)["colour"]) is str


CONDITION = {
    "type": "Ready",
    "status": "True",
    "reason": "Ready",
    "message": "good until 2027",
    "observedGeneration": 3,
    "lastTransitionTime": "2026-11-23T10:00:00Z",
}
CERTIFICATE: dict[str, Any] = {
    "apiVersion": "anchorline.dev/v1alpha1",
    "kind": "Certificate",
    "metadata": {
        "name": "web",
        "namespace": "shop",
        "uid": "0-1",
        "generation": 3,
        "resourceVersion": "77",
        "creationTimestamp": "2026-11-23T10:00:00Z",
        "deletionTimestamp": "2026-11-24T10:00:00Z",
        "labels": {"team": "b", "app": "a"},
        "annotations": {"note": "n"},
        "managedFields": [{}],
    },
    "spec": {"caRef": {"name": "internal"}, "secretName": "web-tls", "dnsNames": ["web.shop.svc"]},
    "status": {"conditions": [CONDITION], "revision": 2},
}


def test_a_resource_is_read_whole() -> None:
    read = codec.decode_resource(Certificate, CERTIFICATE)
    assert read.metadata == Metadata(
        name="web",
        namespace="shop",
        uid="0-1",
        generation=3,
        resource_version="77",
        created=datetime(2026, 11, 23, 10, tzinfo=UTC),
        deleting=True,
        labels=(("app", "a"), ("team", "b")),
        annotations=(("note", "n"),),
    )
    assert (read.spec.ca_ref.name, read.spec.dns_names) == ("internal", ("web.shop.svc",))
    assert read.status.conditions[0] == Condition(
        type="Ready",
        status=ConditionStatus.TRUE,
        reason="Ready",
        message="good until 2027",
        observed_generation=3,
        last_transition_time=datetime(2026, 11, 23, 10, tzinfo=UTC),
    )


def test_a_resource_without_a_status_has_an_empty_one() -> None:
    read = codec.decode_resource(PrivateCA, {"metadata": {"name": "internal"}, "spec": {}, "status": None})
    assert read == PrivateCA(metadata=Metadata(name="internal"), spec=read.spec)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"metadata": None}, "metadata is missing"),
        ({"metadata": {"labels": {"a": 5}}}, r"metadata.labels\[a\] must be a string"),
        ({"metadata": {"generation": "5"}}, "metadata.generation must be a whole number"),
        ({"spec": {"secretName": "s"}}, "spec.caRef is missing"),
        ({"spec": None}, "spec is missing"),
        ({"status": {"conditions": [{}]}}, r"status.conditions\[0\].type is missing"),
    ],
)
def test_a_wrong_resource_is_named_by_its_path(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidSpec, match=f"^{complaint}"):
        codec.decode_resource(Certificate, CERTIFICATE | change)


def test_the_metadata_of_any_object_can_be_read_alone() -> None:
    assert codec.decode_metadata({"name": "x", "labels": {"a": "b"}}).label("a") == "b"
