"""What a Secret's labels and annotations may be, said before the API server refuses the Secret for them."""

import re
from typing import Final

from anchorline.api.certificate import SecretTemplate
from anchorline.api.fields import DNS_SUBDOMAIN
from anchorline.errors import InvalidSpec
from anchorline.plan.findings import shortened

# The rules of every object's metadata: k8s.io/apimachinery pkg/util/validation, pkg/api/validation.
_NAME: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", re.ASCII)
_PREFIX: Final = re.compile(DNS_SUBDOMAIN)
_PREFIX_CHARACTERS: Final = 253
# Of the 256 KiB that the annotations of an object may have, the last four are for ours.
ANNOTATION_BYTES: Final = 252 * 2**10
_VALUE: Final = "use at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit"
_KEY: Final = f"{_VALUE}, after a DNS name and a slash if you like"


def check(template: SecretTemplate) -> None:
    """Raise InvalidSpec, naming the label or annotation and the rule, for what no Secret can carry."""
    for key, value in template.labels:
        if not _is_key(key):
            raise InvalidSpec(f"secretTemplate.labels: {shortened(key)!r} is not a label's key; {_KEY}")
        if value and not _NAME.fullmatch(value):
            raise InvalidSpec(f"secretTemplate.labels: {shortened(value)!r} is not a label's value; {_VALUE}")
    for key, _ in template.annotations:
        # The case of an annotation's prefix is not looked at.
        if not _is_key(key.lower()):
            raise InvalidSpec(f"secretTemplate.annotations: {shortened(key)!r} is not an annotation's key; {_KEY}")
    size = sum(len(word.encode()) for pair in template.annotations for word in pair)
    if size > ANNOTATION_BYTES:
        raise InvalidSpec(f"secretTemplate.annotations have {size} bytes and may have {ANNOTATION_BYTES}; shorten them")


def _is_key(key: str) -> bool:
    """Whether it is a qualified name: `name`, or `dns.prefix/name`."""
    prefix, slash, name = key.rpartition("/")
    if slash and not (len(prefix) <= _PREFIX_CHARACTERS and _PREFIX.fullmatch(prefix)):
        return False
    return _NAME.fullmatch(name) is not None
