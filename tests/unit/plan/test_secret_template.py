"""What a Secret may carry besides its data, by the rules of the API server."""

import pytest

from anchorline.api.certificate import SecretTemplate
from anchorline.errors import InvalidSpec
from anchorline.plan.secret_template import ANNOTATION_BYTES, check

KEYS = ["a", "A.b_c-d", "x" * 63, "example.com/a", "a-b.example/" + "x" * 63, "1/2", ("p" * 62 + ".") * 4 + "p/a"]
NO_KEYS = ["", "bad key!!", "-a", "a.", "x" * 64, "/a", "a/", "a/b/c", "under_score/a", "ä", "a\n", "p" * 254 + "/a"]


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_a_qualified_name(key: str) -> None:
    check(SecretTemplate(labels=((key, ""),), annotations=((key, "anything\n at all"),)))


@pytest.mark.parametrize("key", NO_KEYS)
def test_what_is_no_key_is_named(key: str) -> None:
    with pytest.raises(
        InvalidSpec, match=r"^secretTemplate\.labels: '.*' is not a label's key; use at most 63 letters"
    ):
        check(SecretTemplate(labels=((key, "x"),)))
    with pytest.raises(
        InvalidSpec, match=r"^secretTemplate\.annotations: '.*' is not an annotation's key; use at most"
    ):
        check(SecretTemplate(annotations=((key, "x"),)))


def test_the_prefix_of_an_annotation_may_have_capitals_and_that_of_a_label_may_not() -> None:
    check(SecretTemplate(annotations=(("Example.COM/Name", ""),)))
    with pytest.raises(InvalidSpec, match=r"'Example\.COM/Name' is not a label's key"):
        check(SecretTemplate(labels=(("Example.COM/Name", ""),)))


@pytest.mark.parametrize("value", ["", "x", "a.b_c-d", "x" * 63])
def test_a_value_of_a_label_is_short_and_plain(value: str) -> None:
    check(SecretTemplate(labels=(("a", value),)))


@pytest.mark.parametrize("value", ["x y", "-", "x" * 64, "a.", "ü", "x\n"])
def test_what_is_no_value_of_a_label_is_named(value: str) -> None:
    with pytest.raises(InvalidSpec, match=r"^secretTemplate\.labels: '.*' is not a label's value; use at most 63"):
        check(SecretTemplate(labels=(("a", value),)))


def test_a_long_word_is_not_shown_whole() -> None:
    with pytest.raises(InvalidSpec) as caught:
        check(SecretTemplate(labels=(("a", "x" * 5000),)))
    assert len(caught.value.message) < 300


def test_annotations_have_room_together_with_ours() -> None:
    check(SecretTemplate(annotations=(("a", "x" * (ANNOTATION_BYTES - 1)),)))
    with pytest.raises(
        InvalidSpec, match=rf"have {ANNOTATION_BYTES + 1} bytes and may have {ANNOTATION_BYTES}; shorten"
    ):
        check(SecretTemplate(annotations=(("a", "x" * (ANNOTATION_BYTES - 2) + "ü"),)))
