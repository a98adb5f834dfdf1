"""I/O: a Kubernetes control plane on this machine, to try Anchorline and to test it on; not in the image."""

from anchorline.lab.audit import AuditEvent, AuditLog
from anchorline.lab.cluster import Cluster, ExistingCluster, attach
from anchorline.lab.controlplane import ControlPlane

__all__ = ["AuditEvent", "AuditLog", "Cluster", "ControlPlane", "ExistingCluster", "attach"]
