"""Base images made on this machine, where no registry can be asked: Debian by debootstrap, and packages into it."""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from anchorline import errors
from anchorline.lab import children, image, locks, places
from anchorline.lab.node import debian

SUITE = "bookworm"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SECONDS = 1800
# Whatever is mounted or started goes with the command, and that goes with us: the next run may begin at once.
_ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private")
# Written by package tools, and other bytes each time.
_FORGOTTEN = (
    "./var/cache/*",
    "./var/lib/apt/lists/*",
    "./var/log/*",
    "./var/lib/dpkg/*-old",
    "./etc/passwd-",
    "./etc/group-",
    "./etc/shadow-",
    "./etc/gshadow-",
    "./etc/machine-id",
    "./etc/resolv.conf",
    "./etc/hostname",
    "./usr/share/doc/*",
    "./usr/share/man/*",
    "./usr/share/locale/*",
    "./dev/*",
    "./proc/*",
    "./sys/*",
    "./run/*",
    "./tmp/*",
)


def base(packages: Sequence[str]) -> Path:
    """Return an OCI archive with one layer: Debian with `packages`, made once and then kept in the cache.

    Raises `NotReady` without root or Debian, or when a package cannot be had.
    """
    if os.geteuid() != 0 or not Path("/etc/debian_version").is_file():
        raise errors.NotReady("A base image is made by debootstrap as root on Debian; elsewhere use podman or buildah.")
    key = hashlib.sha256(" ".join([SUITE, *sorted(packages)]).encode()).hexdigest()[:12]
    archive = places.cache() / "images" / f"{SUITE}-{key}.tar"
    with locks.held(archive.with_suffix(".lock"), "another process making the same base image"):
        if not archive.is_file():
            print(f"making a base image of Debian {SUITE} with {' '.join(packages)}", file=sys.stderr, flush=True)
            debian.require_packages(("debootstrap",))
            _make(packages, archive)
    return archive


def _make(packages: Sequence[str], archive: Path) -> None:
    root = archive.with_suffix(".root")
    tar = archive.with_suffix(".layer")
    shutil.rmtree(root, ignore_errors=True)
    try:
        root.mkdir()
        _run(["tar", "--numeric-owner", "-C", str(root), "-xf", str(_bare())])
        _install(root, packages)
        layer = image.layer(root, tar, epoch=0, owners=True, exclude=_FORGOTTEN)
        config = {"Env": [f"PATH={PATH}"], "Cmd": ["/bin/sh"]}
        image.write(archive, f"anchorline.local/{archive.stem}", [layer], config, platform.machine())
    finally:
        shutil.rmtree(root, ignore_errors=True)
        tar.unlink(missing_ok=True)


def _bare() -> Path:
    """Return a tar file of the smallest Debian, on which every base image is made."""
    tar = places.cache() / "images" / f"{SUITE}.tar"
    with locks.held(tar.with_suffix(".lock"), "another process making the smallest Debian"):
        if not tar.is_file():
            root, part = tar.with_suffix(".bare"), tar.with_suffix(".part")
            shutil.rmtree(root, ignore_errors=True)
            try:
                _run([*_ALONE, "--mount-proc", "debootstrap", "--variant=minbase", SUITE, str(root)])
                _run(["tar", "--numeric-owner", "--exclude=./dev/*", "-C", str(root), "-cf", str(part), "."])
                part.replace(tar)
            finally:
                shutil.rmtree(root, ignore_errors=True)
    return tar


def _install(root: Path, packages: Sequence[str]) -> None:
    """Run apt-get inside, in namespaces that end with it: nothing stays mounted or running."""
    script = (
        'mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev" && '
        'exec chroot "$0" apt-get install -y -q --no-install-recommends "$@" </dev/null'
    )
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    _run([*_ALONE, "sh", "-c", script, str(root), *packages])
    policy.unlink()


def _run(command: list[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "PATH": PATH, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_SECONDS,
            env=environment,
            preexec_fn=children.die_with_parent,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise errors.NotReady(f"A base image could not be made: {error}.") from error
    if done.returncode:
        raise errors.NotReady(f"A base image could not be made: {done.stdout.strip()[-600:]}")
