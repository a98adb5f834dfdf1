"""What the API server goes on refusing, such as for a quota or a policy of the cluster: remembered for a minute."""

import time
from collections.abc import Callable
from typing import Final

from anchorline.api.meta import ObjectKey
from anchorline.errors import ClusterError

# Answers that do not get better by being asked for again at once: what was sent is invalid, forbidden, or too large.
LASTING: Final = (400, 403, 413, 422)
TRY_AGAIN_SECONDS: Final = 60.0
_REMEMBERED_AT_MOST: Final = 16_384


class Denials:
    """The last refusal for each object, as long as it is young and the object's spec is the same."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._denied: dict[ObjectKey, tuple[int, float, str]] = {}

    def note(self, key: ObjectKey, generation: int, error: ClusterError) -> None:
        """Remember a refusal; others are no matter of the object."""
        if error.status not in LASTING:
            return
        self._denied[key] = generation, self._monotonic() + TRY_AGAIN_SECONDS, error.message
        if len(self._denied) > _REMEMBERED_AT_MOST:
            del self._denied[next(iter(self._denied))]

    def of(self, key: ObjectKey, generation: int) -> str:
        """The sentence of the refusal, "" when it is time to try again, or there was none."""
        for_generation, until, sentence = self._denied.get(key, (0, 0.0, ""))
        if for_generation == generation and self._monotonic() < until:
            return sentence
        self._denied.pop(key, None)
        return ""
