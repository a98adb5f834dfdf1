"""I/O: the lab with a real kubelet: a single-node Kubernetes in namespaces of its own, from Debian packages."""

from anchorline.lab.node.node import Node, complaints, load

__all__ = ["Node", "complaints", "load"]
