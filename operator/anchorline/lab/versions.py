"""Which programs the lab needs, in which versions, from which pinned Go module, and what other versions fit."""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from anchorline import errors


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Version:
    """A release as three numbers; what follows them (pre-release, build, vendor) decides nothing here."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


class Rule(StrEnum):
    """How far a program that is already on this machine may be from the pinned version."""

    SAME_MINOR = "the same minor version"
    SKEW_OF_ONE = "at most one minor version away"
    AT_LEAST_3_6 = "3.6 or newer"
    SAME_MAJOR = "the same major version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One committed Go module below hack/, and the version of what it pins."""

    folder: str
    requires: str
    version: Version
    cache_name: str
    ldflags: str = "-s -w"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """One program: the Go package it is built from, and how it is asked for its version."""

    name: str
    module: Module
    package: str
    rule: Rule
    question: tuple[str, ...] = ("--version",)


def _kubernetes_ldflags(version: Version) -> str:
    """Linker flags that give Kubernetes programs their version, as its own release build does."""
    stamp = "k8s.io/component-base/version"
    return (
        f"-s -w -X {stamp}.gitVersion=v{version} -X {stamp}.gitMajor={version.major}"
        f" -X {stamp}.gitMinor={version.minor} -X {stamp}.gitTreeState=clean"
    )


_KUBERNETES = Version(major=1, minor=37, patch=2)
_ETCD = Version(major=3, minor=7, patch=3)
_HELM = Version(major=4, minor=3, patch=1)
_COREDNS = Version(major=1, minor=15, patch=0)

KUBE = Module(
    folder="kube",
    requires="k8s.io/kubernetes",
    version=_KUBERNETES,
    cache_name=f"kubernetes-v{_KUBERNETES}",
    ldflags=_kubernetes_ldflags(_KUBERNETES),
)
ETCD = Module(folder="etcd", requires="go.etcd.io/etcd/server/v3", version=_ETCD, cache_name=f"etcd-v{_ETCD}")
HELM = Module(
    folder="helm",
    requires="helm.sh/helm/v4",
    version=_HELM,
    cache_name=f"helm-v{_HELM}",
    ldflags=f"-s -w -X helm.sh/helm/v4/internal/version.version=v{_HELM}",
)
COREDNS = Module(
    folder="coredns", requires="github.com/coredns/coredns", version=_COREDNS, cache_name=f"coredns-v{_COREDNS}"
)
MODULES = (ETCD, KUBE, HELM, COREDNS)

# Our own program, a dozen lines: it pins no module, so its version is only a name in the cache.
_PAUSE = Version(major=1, minor=0, patch=0)
PAUSE = Module(folder="pause", requires="", version=_PAUSE, cache_name=f"pause-v{_PAUSE}")


def _kube(name: str, rule: Rule = Rule.SAME_MINOR, question: tuple[str, ...] = ("--version",)) -> Binary:
    return Binary(name=name, module=KUBE, package=f"k8s.io/kubernetes/cmd/{name}", rule=rule, question=question)


BINARIES = {
    binary.name: binary
    for binary in (
        Binary(name="etcd", module=ETCD, package=".", rule=Rule.AT_LEAST_3_6),
        _kube("kube-apiserver"),
        _kube("kube-controller-manager"),
        _kube("kubectl", Rule.SKEW_OF_ONE, ("version", "--client")),
        Binary(
            name="helm",
            module=HELM,
            package="helm.sh/helm/v4/cmd/helm",
            rule=Rule.SAME_MAJOR,
            question=("version", "--short"),
        ),
        _kube("kube-scheduler"),
        _kube("kubelet"),
        _kube("kube-proxy"),
        Binary(name="coredns", module=COREDNS, package=".", rule=Rule.SAME_MINOR, question=("-version",)),
        Binary(name="pause", module=PAUSE, package=".", rule=Rule.SAME_MINOR),
    )
}


def binary(name: str) -> Binary:
    """Return the table's entry for `name`. Raises `InvalidSpec` for a program the lab does not know."""
    try:
        return BINARIES[name]
    except KeyError:
        raise errors.InvalidSpec(f"The lab has no program {name!r}; it knows {', '.join(BINARIES)}.") from None


def parse(text: str) -> Version | None:
    """Return the first version that a program's answer names, or None when it names none."""
    found = re.search(r"\bv?(\d+)\.(\d+)\.(\d+)", text)
    return Version(major=int(found[1]), minor=int(found[2]), patch=int(found[3])) if found else None


def fits(rule: Rule, pinned: Version, seen: Version) -> bool:
    """Whether a program of version `seen` may stand in for the `pinned` one."""
    match rule:
        case Rule.SAME_MINOR:
            return (seen.major, seen.minor) == (pinned.major, pinned.minor)
        case Rule.SKEW_OF_ONE:
            return seen.major == pinned.major and abs(seen.minor - pinned.minor) <= 1
        case Rule.AT_LEAST_3_6:
            return seen.major == pinned.major and (seen.major, seen.minor) >= (3, 6)
        case Rule.SAME_MAJOR:
            return seen.major == pinned.major


def pinned_in(go_mod: Path, requires: str) -> Version | None:
    """Return the version of module `requires` that a go.mod file pins, or None when it is not required there."""
    line = re.search(rf"^\s*(?:require\s+)?{re.escape(requires)} (v\S+)", go_mod.read_text(), re.MULTILINE)
    return parse(line[1]) if line else None
