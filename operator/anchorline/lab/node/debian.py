"""What the machine must be and have for a node: root, Debian, cgroup v1, and some of Debian's packages."""

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from anchorline import errors
from anchorline.lab import locks, places

PACKAGES = (
    "containerd",
    "runc",
    "containernetworking-plugins",
    "iptables",
    "nftables",
    "conntrack",
    "ipset",
    "iproute2",
    "ethtool",
    "socat",
    "kmod",
)
_INSTALL_SECONDS = 900
# Somebody else's apt-get, or one that outlived a run of ours that was killed, is waited for.
_WAIT = ("-o", "DPkg::Lock::Timeout=300")
_POLICY = Path("/usr/sbin/policy-rc.d")
_NO_SERVICES = "#!/bin/sh\n# Written by `anchorline lab`, which removes it when its packages are installed.\nexit 101\n"
INSTEAD = "use a cluster that you have: KUBECONFIG of kind or k3d"


def require() -> None:
    """Raise `NotReady`, with what to do instead, where a node cannot run; install what is only missing."""
    refusal = why_not()
    if refusal:
        raise errors.NotReady(refusal)
    require_packages(PACKAGES)


def why_not() -> str | None:
    """Say in one sentence why there can be no node on this machine; None where there can be one."""
    if os.geteuid() != 0:
        return f"A node needs root (namespaces, mounts, cgroups); run as root, or {INSTEAD}."
    if not Path("/etc/debian_version").is_file() or not shutil.which("apt-get"):
        return f"A node is made of Debian's packages and this is not Debian; {INSTEAD}."
    if not Path("/sys/fs/cgroup/memory").is_dir():
        return f"A node needs cgroup v1 (or hybrid) and this machine has only cgroup v2; {INSTEAD}."
    if refusal := _confined():
        return (
            f"A node needs namespaces and cgroups of its own, and root may not make them here ({refusal}); {INSTEAD}."
        )
    return None


@functools.cache
def _confined() -> str:
    """Say what root is refused, as in a container that is not privileged; "" where it may do what a node needs."""
    if not os.access("/sys/fs/cgroup/memory", os.W_OK):
        return "/sys/fs/cgroup/memory is not writable"
    done = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr.strip() if done.returncode else ""


def require_packages(names: tuple[str, ...]) -> None:
    """Install the Debian packages of `names` that are missing. Raises `NotReady` when apt-get cannot."""
    with locks.held(places.cache() / "node" / "apt.lock", "another process installing Debian packages"):
        absent = missing(names)
        if absent:
            print(f"installing Debian packages: {' '.join(absent)}", file=sys.stderr, flush=True)
            with _no_services():
                _update()
                _install(absent)


def _install(names: list[str]) -> None:
    """Install; an installation that was killed half-way is brought to its end first, as dpkg then asks for."""
    command = ("apt-get", "install", "-y", "-q", "--no-install-recommends", *_WAIT, *names)
    try:
        _run(*command)
    except errors.NotReady as error:
        if "dpkg --configure -a" not in error.message:
            raise
        _run("dpkg", "--configure", "-a")
        _run(*command)


@functools.cache
def _update() -> None:
    """Read what packages there are, once a process. A source that is of no use to us may be broken: install decides."""
    with suppress(errors.NotReady):
        _run("apt-get", "update", "-q")


def missing(names: tuple[str, ...]) -> list[str]:
    """Return which of the packages are not installed."""
    query = ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *names]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    there = {line.split()[0] for line in done.stdout.splitlines() if line.endswith(" installed")}
    return [name for name in names if name not in there]


@contextmanager
def _no_services() -> Iterator[None]:
    """Keep packages from starting services: the node starts its own containerd."""
    if _POLICY.exists() and _POLICY.read_text() != _NO_SERVICES:
        yield
        return
    _POLICY.write_text(_NO_SERVICES)
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink(missing_ok=True)


def _run(*command: str) -> None:
    """Run one of Debian's tools; it writes to a file, since it outlives us and a pipe's end would end it half-way."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        try:
            done = subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=_INSTALL_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise errors.NotReady(f"{command[0]} {command[1]} did not end within {_INSTALL_SECONDS} s.") from error
        said.seek(0)
        if done.returncode:
            last = said.read().strip()[-600:]
            raise errors.NotReady(f"{command[0]} {command[1]} failed; run it by hand, or {INSTEAD}: {last}")
