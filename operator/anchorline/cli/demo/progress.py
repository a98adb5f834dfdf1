"""How far a rotation is: phases by the status of the PrivateCA, roots in the stores, leaves by their root."""

import base64
import functools
from dataclasses import dataclass

from anchorline import pki
from anchorline.api import naming
from anchorline.cli.demo.kubelet import Kubelet, Watch
from anchorline.cli.demo.scene import LIVE, Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One look; `phases` by generation, counts of what carries, or is under, the newest root."""

    phases: dict[int, str]
    waiting: str
    stores: tuple[int, int]
    leaves: tuple[int, int]
    mounted_old: int

    @property
    def phase(self) -> str:
        """The phase of the whole rotation, in one word."""
        if len(self.phases) < 2:
            return "before"
        old = self.phases[min(self.phases)]
        return old if old in {"Retiring", "Retired"} else self.phases[max(self.phases)]

    @property
    def done(self) -> bool:
        """The old root is retired, and in no mounted trust store any more."""
        return self.phase == "Retired" and not self.mounted_old and self.leaves[0] == self.leaves[1]

    def line(self) -> str:
        """In words."""
        roots = ", ".join(f"root {number} {phase}" for number, phase in sorted(self.phases.items()))
        return f"{roots} | stores {_of(self.stores)} | leaves {_of(self.leaves)}"


def look(authority: Watch, name: str, kubelet: Kubelet) -> Progress:
    """Look at everything that the watches have brought."""
    status = authority.seen.get(("", name), {}).get("status", {})
    generations = sorted(status.get("generations", []), key=lambda each: int(each["number"]))
    newest = generations[-1]["fingerprint"] if generations else ""
    stores = [_roots(item["data"][naming.PRIVATE_BUNDLE]) for item in _all(kubelet.stores)]
    root = next((each for roots in stores for each in roots if each.fingerprint == newest), None)
    leaves = [_chain(item["data"][naming.TLS_CERT]) for item in _all(kubelet.leaves)]
    return Progress(
        phases={each["number"]: each["phase"] for each in generations},
        waiting=next((each["waitingFor"].split("; ")[0] for each in generations if each.get("waitingFor")), ""),
        stores=(sum(any(r.fingerprint == newest for r in roots) for roots in stores), len(stores)),
        leaves=(sum(root is not None and chain[1].is_issued_by(root) for chain in leaves), len(leaves)),
        mounted_old=_mounted_old(kubelet, newest),
    )


def _mounted_old(kubelet: Kubelet, newest: str) -> int:
    """Trust stores that hold another root than the newest, as they are mounted now."""
    files = [kubelet.mounted(*key) / naming.PRIVATE_BUNDLE for key in list(kubelet.stores.seen) if _live(key)]
    return sum(any(r.fingerprint != newest for r in _roots(file.read_text())) for file in files)


def _live(key: tuple[str, str]) -> bool:
    return key[0] in LIVE


def _all(watch: Watch) -> list[Object]:
    return [item for key, item in list(watch.seen.items()) if _live(key)]


@functools.lru_cache(maxsize=64)
def _roots(pem: str) -> tuple[pki.Certificate, ...]:
    return pki.decode_certificates(pem.encode())


@functools.lru_cache(maxsize=256)
def _chain(encoded: str) -> tuple[pki.Certificate, ...]:
    return pki.decode_certificates(base64.b64decode(encoded))


def _of(pair: tuple[int, int]) -> str:
    return f"{pair[0]}/{pair[1]}"
