"""What the node stands on, made from inside its new namespaces: mounts, cgroup trees, sysctls, its network."""

import socket
import subprocess
from pathlib import Path

from anchorline import errors
from anchorline.lab.node import settings
from anchorline.lab.node.cgroups import hierarchies

# What the kubelet wants to find, as files over the machine's own values, which stay as they are.
_SHADOWED = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
# These belong to the network namespace, so they may be set.
_NETWORK = {
    "net/ipv4/ip_forward": "1",
    "net/bridge/bridge-nf-call-iptables": "1",
    "net/bridge/bridge-nf-call-ip6tables": "1",
}


def lay(root: Path) -> None:
    """Make everything; `root` is the lab's folder. Raises `NotReady` with the command that was refused."""
    socket.sethostname(settings.NODE)
    _cgroups()
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    _sysctls()
    private_var(root)
    _network()
    # Volumes that the kubelet mounts must be seen by containers that are made later.
    _mount("--make-rshared", "/")


def _cgroups() -> None:
    """Mount each hierarchy anew: its root is then the node's own cgroup."""
    found = [hierarchy.controllers for hierarchy in hierarchies()]
    _run("umount", "-R", "/sys/fs/cgroup")
    _mount("-t", "tmpfs", "-o", "mode=755,nosuid,nodev,noexec", "tmpfs", "/sys/fs/cgroup")
    for controllers in found:
        place = Path("/sys/fs/cgroup") / (controllers.removeprefix("name=") or "unified")
        place.mkdir()
        if controllers:
            _mount("-t", "cgroup", "-o", controllers, "cgroup", str(place))
        else:
            _mount("-t", "cgroup2", "cgroup2", str(place))


def _sysctls() -> None:
    shadows = Path("/run/sysctl")
    shadows.mkdir()
    for name, value in _SHADOWED.items():
        shadow = shadows / name.replace("/", ".")
        shadow.write_text(f"{value}\n")
        _mount("--bind", str(shadow), f"/proc/sys/{name}")


def private_var(root: Path) -> None:
    """Give the node a /var/lib and a /var/log of its own; what is large or holds mounts lies in the lab's folder.

    Raises `InvalidSpec` for a folder that would be hidden by that.
    """
    for place in ("/var/lib", "/var/log"):
        if root.is_relative_to(place):
            raise errors.InvalidSpec(f"A lab with a node cannot live below {place}; choose another --dir.")
    for place in ("/var/lib", "/var/log"):
        _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", place)
    for name, place in (
        ("containerd", "/var/lib/containerd"),
        ("kubelet", "/var/lib/kubelet"),
        ("pods", "/var/log/pods"),
    ):
        (root / name).mkdir(exist_ok=True)
        Path(place).mkdir()
        _mount("--bind", str(root / name), place)


def _network() -> None:
    """A bridge carries the node's address: there may be no dummy devices, and the kubelet refuses loopback."""
    device = settings.DEVICE
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "link", "add", device, "type", "bridge")
    _run("ip", "address", "add", f"{settings.NODE_ADDRESS}/24", "dev", device)
    _run("ip", "address", "add", f"{settings.DNS_ADDRESS}/32", "dev", device)
    _run("ip", "link", "set", device, "up")
    # Nothing is there: the kernel only wants a route before it lets kube-proxy rewrite a Service's address.
    _run("ip", "route", "add", "default", "via", settings.NOWHERE, "dev", device)
    for name, value in _NETWORK.items():
        knob = Path("/proc/sys") / name
        if knob.exists():
            knob.write_text(value)


def _mount(*arguments: str) -> None:
    _run("mount", *arguments)


def _run(*command: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise errors.NotReady(f"`{' '.join(command)}` was refused in the node's namespaces: {done.stderr.strip()}")
