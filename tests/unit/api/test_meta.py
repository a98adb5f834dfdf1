"""Identity and metadata of objects, and the names that are derived from them."""

import pytest

from anchorline.api import naming
from anchorline.api.markers import schema
from anchorline.api.meta import Metadata, ObjectKey


def test_a_key_reads_as_a_person_says_it() -> None:
    assert str(ObjectKey("Certificate", "shop", "web")) == "Certificate shop/web"
    assert str(ObjectKey("PrivateCA", "", "internal")) == "PrivateCA internal"


def test_labels_and_annotations_are_found_by_name() -> None:
    metadata = Metadata(name="web", labels=(("a", "1"), ("b", "2")), annotations=(("c", "3"),))
    assert (metadata.label("b"), metadata.label("c")) == ("2", None)
    assert (metadata.annotation("c"), metadata.annotation("a")) == ("3", None)


def test_facts_can_be_hashed_as_annotated_needs_it() -> None:
    assert hash(schema(a=1, b=[2])) == hash(schema(b=[2], a=1))


def test_derived_names_fit_into_a_label_for_the_longest_ca_name() -> None:
    longest = "c" * naming.MAX_CA_NAME
    names = (
        naming.root_secret(longest, 999),
        naming.intermediate_secret(longest, 99, 999),
        naming.retired_secret(longest, 9),
    )
    assert max(map(len, names)) <= 63


@pytest.mark.parametrize(
    ("annotation", "names"),
    [(None, ()), ("", ()), (" internal ", ("internal",)), ("b, a,,b", ("b", "a"))],
)
def test_a_trust_annotation_names_each_ca_once_and_in_order(annotation: str | None, names: tuple[str, ...]) -> None:
    assert naming.trusted_names(annotation) == names
