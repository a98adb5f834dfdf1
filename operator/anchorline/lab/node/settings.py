"""The node's names and addresses, and the configuration files of its programs."""

import json
from pathlib import Path
from typing import Any

from anchorline.lab.folder import Folder

NODE = "lab-node"
DEVICE = "node0"
NODE_ADDRESS = "172.30.0.1"
NOWHERE = "172.30.0.254"
DNS_ADDRESS = "10.96.0.10"
DOMAIN = "cluster.local"
POD_RANGE = "10.244.0.0/24"
SOCKET = "/run/containerd/containerd.sock"
PAUSE_IMAGE = "anchorline.local/pause:1"

# restrict_oom_score_adj: without CAP_SYS_RESOURCE (in a container, say) no pod would start otherwise.
_CONTAINERD = """\
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{cni}"
"""

_COREFILE = """\
.:53 {{
  bind {address}
  errors
  ready 127.0.0.1:8181
  kubernetes {domain} in-addr.arpa {{
    kubeconfig {kubeconfig} anchorline-lab
    ttl 5
  }}
  template ANY ANY {{
    rcode NXDOMAIN
  }}
  cache 5
}}
"""


def write(folder: Folder) -> None:
    """Write every configuration file into the lab's folder."""
    root = folder.root
    cni = root / "cni"
    cni.mkdir()
    (cni / "10-bridge.conflist").write_text(json.dumps(_cni()))
    (root / "containerd.toml").write_text(_CONTAINERD.format(socket=SOCKET, pause=PAUSE_IMAGE, cni=cni))
    corefile = _COREFILE.format(address=DNS_ADDRESS, domain=DOMAIN, kubeconfig=root / "coredns.kubeconfig")
    (root / "Corefile").write_text(corefile)
    (root / "resolv.conf").write_text(f"nameserver {DNS_ADDRESS}\n")
    (root / "kubelet.json").write_text(json.dumps(_kubelet(folder), indent=2))
    (root / "kube-proxy.json").write_text(json.dumps(_proxy(root), indent=2))


def _cni() -> dict[str, Any]:
    address: dict[str, Any] = {"type": "host-local", "dataDir": "/run/cni"}
    address["ranges"] = [[{"subnet": POD_RANGE}]]
    address["routes"] = [{"dst": "0.0.0.0/0"}]
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True, "hairpinMode": True}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "bridge", "plugins": [{**bridge, "ipam": address}, ports]}


def _kubelet(folder: Folder) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "address": NODE_ADDRESS,
        "resolvConf": str(folder.root / "resolv.conf"),
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": DOMAIN,
        # A lower score, and more files than the hard limit, cannot be had without CAP_SYS_RESOURCE.
        "oomScoreAdj": 0,
        "maxOpenFiles": 20000,
        "failSwapOn": False,
        "evictionHard": _eviction(),
        # Images came from archives and cannot be pulled again: never collect them.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(folder.ca)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(folder.pki / "server.crt"),
        "tlsPrivateKeyFile": str(folder.pki / "server.key"),
    }


def _eviction() -> dict[str, str]:
    """Absolute, all five: a share of a large disk that is nearly full would evict every pod."""
    return {
        "memory.available": "100Mi",
        "nodefs.available": "1Gi",
        "imagefs.available": "1Gi",
        "nodefs.inodesFree": "1%",
        "imagefs.inodesFree": "1%",
    }


def _proxy(root: Path) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(root / "kube-proxy.kubeconfig")},
        "hostnameOverride": NODE,
        "bindAddress": NODE_ADDRESS,
        "healthzBindAddress": "127.0.0.1:10256",
        "clusterCIDR": "10.244.0.0/16",
        "oomScoreAdj": 0,
        # The machine's connection tracking table is not the node's to size.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }
