"""Names that are derived: the formats of a trust store in the namespace's words, its label, and the webhooks."""

import pytest

from anchorline.api import naming


def test_every_set_of_formats_has_a_label_a_webhook_and_a_path() -> None:
    assert list(naming.TRUST_LABELS) == ["enabled", "enabled.jks", "enabled.wgetrc", "enabled.jks.wgetrc"]
    assert [naming.webhook_name(each) for each in naming.TRUST_LABELS.values()] == [
        "pods.anchorline.dev",
        "pods-jks.anchorline.dev",
        "pods-wgetrc.anchorline.dev",
        "pods-jks-wgetrc.anchorline.dev",
    ]
    assert [naming.webhook_path(each) for each in naming.TRUST_LABELS.values()] == [
        "/mutate",
        "/mutate/jks",
        "/mutate/wgetrc",
        "/mutate/jks.wgetrc",
    ]


def test_the_label_names_formats_in_our_order() -> None:
    assert naming.trust_label(iter(("wgetrc", "jks"))) == "enabled.jks.wgetrc"
    for label, formats in naming.TRUST_LABELS.items():
        assert naming.trust_label(formats) == label
        assert naming.label_formats(label) == formats
        assert naming.is_enabled(label)


@pytest.mark.parametrize("label", [None, "", "disabled", "enabled.", "enabled.wgetrc.jks"])
def test_another_label_switches_nothing_on(label: str | None) -> None:
    assert not naming.is_enabled(label)
    assert naming.label_formats(label) == ()


@pytest.mark.parametrize(
    ("annotation", "known", "unknown"),
    [
        (None, (), ()),
        ("", (), ()),
        ("jks", ("jks",), ()),
        (" WGETRC,jks ,jks", ("jks", "wgetrc"), ()),
        ("p12, jks,P12", ("jks",), ("p12",)),
    ],
)
def test_the_words_of_the_annotation(annotation: str | None, known: tuple[str, ...], unknown: tuple[str, ...]) -> None:
    assert naming.trust_formats(annotation) == (known, unknown)
