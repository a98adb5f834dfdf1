"""The kinds of the API server that Anchorline reads or writes, and their paths."""

from dataclasses import dataclass

from anchorline.api import naming


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind: `group` is "" for the core group, `plural` is its name in paths."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool

    @property
    def api_version(self) -> str:
        """`apiVersion` of its objects: `v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Path of one object, or of the collection: of one namespace, or of all when `namespace` is empty."""
        parts = ["/apis" if self.group else "/api", self.api_version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/".join(parts)

    def describe(self, namespace: str = "", name: str = "") -> str:
        """Words for messages: `Secret shop/web-tls`, `Secrets in shop`, `PrivateCA internal`."""
        if name:
            return f"{self.kind} {namespace}/{name}" if self.namespaced and namespace else f"{self.kind} {name}"
        return f"{self.plural} in {namespace}" if namespace else self.plural


SECRETS = Resource("", "v1", "secrets", "Secret", namespaced=True)
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
PODS = Resource("", "v1", "pods", "Pod", namespaced=True)
SERVICES = Resource("", "v1", "services", "Service", namespaced=True)
EVENTS = Resource("events.k8s.io", "v1", "events", "Event", namespaced=True)
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease", namespaced=True)
PRIVATE_CAS = Resource(naming.GROUP, naming.VERSION, "privatecas", "PrivateCA", namespaced=False)
CERTIFICATES = Resource(naming.GROUP, naming.VERSION, "certificates", "Certificate", namespaced=True)
MUTATING_WEBHOOKS = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "mutatingwebhookconfigurations",
    "MutatingWebhookConfiguration",
    namespaced=False,
)
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment", namespaced=True)
STATEFUL_SETS = Resource("apps", "v1", "statefulsets", "StatefulSet", namespaced=True)
DAEMON_SETS = Resource("apps", "v1", "daemonsets", "DaemonSet", namespaced=True)
CONTROLLER_KINDS = (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS)
