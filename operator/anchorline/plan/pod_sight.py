"""What of a pod decides its injection, as a small value: pods of one template look the same, and get one answer."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from msgspec import UNSET

from anchorline.api import naming
from anchorline.plan.injected import JAVA_OPTIONS, JAVA_PROPERTY, Injection, Outcome, java_truststore, variables
from anchorline.plan.pod import Container, Device, Metadata, Mount, Pod, Spec, Variable, Volume

_MIRROR: Final = "kubernetes.io/config.mirror"
_OS_LABELS: Final = ("kubernetes.io/os", "beta.kubernetes.io/os")
_NONE: Final[frozenset[str]] = frozenset()
# No kernel mounts at a longer path (PATH_MAX, in bytes).
_PATH_BYTES: Final = 4096
_ORDINARY_CONTAINERS, _ORDINARY_CHARACTERS = 16, 256


class JavaOptions(NamedTuple):
    """The container's own options for Java, with ours appended: at which place of `env`, and how that is written."""

    at: int
    operation: str
    value: str


class ContainerSight(NamedTuple):
    """One container or init container.

    Attributes:
        path: JSON pointer (RFC 6901).
        mounts: whether there are `volumeMounts`.
        store: volume and place of the trust store, where it is mounted already; None where it is not.
        taken: something else is at our place: the container is left alone.
        env: whether there are variables.
        own: those of our variables that it sets itself, by `value` or by `valueFrom`.
        java: what is done to its options for Java.

    """

    path: str
    mounts: bool = False
    store: tuple[str, str] | None = None
    taken: bool = False
    env: bool = False
    own: frozenset[str] = frozenset()
    java: JavaOptions | None = None


class PodSight(NamedTuple):
    """One pod.

    Attributes:
        volumes: whether there are any.
        has_ours: whether one of them is the trust store under our name.
        containers: init containers first.
        labels: whether there are any.
        labelled: whether it says already that it is injected.
        java_elsewhere: whether a container takes its options for Java from where we cannot append to them.

    """

    volumes: bool
    has_ours: bool
    containers: tuple[ContainerSight, ...]
    labels: bool
    labelled: bool
    java_elsewhere: bool


def is_ordinary(pod: PodSight) -> bool:
    """Whether what is made for it is small: somebody's pods of thousands of containers are not to be remembered."""
    if len(pod.containers) > _ORDINARY_CONTAINERS:
        return False
    for each in pod.containers:
        words = (*(each.store or ()), each.java.value if each.java else "")
        if max(map(len, words)) > _ORDINARY_CHARACTERS:
            return False
    return True


def look(pod: Pod, spec: Injection) -> PodSight | Outcome:
    """See what decides the injection, or why the pod is left alone.

    It is most of what a review costs us, so its loops are written out: a generator for each costs more than its work.
    """
    metadata, body = pod.metadata, pod.spec
    if (left_alone := _left_alone(metadata, body)) is not None:
        return left_alone
    volumes = body.volumes or ()
    stores, has_ours = {spec.volume}, False
    for volume in volumes:
        holds = _holds_store(volume, spec)
        if volume.name == spec.volume:
            has_ours = True
            if not holds:
                return Outcome.FOREIGN_VOLUME
        elif holds and volume.name is not None:
            stores.add(volume.name)
    if not body.containers:
        return Outcome.MALFORMED
    containers = _containers(body, stores, spec)
    labels = metadata.labels or {}
    labelled = labels.get(naming.INJECTED_LABEL) == "true"
    elsewhere = naming.JKS in spec.formats and _java_elsewhere(body)
    return PodSight(bool(volumes), has_ours, containers, bool(labels), labelled, elsewhere)


def _left_alone(metadata: Metadata, body: Spec) -> Outcome | None:
    if annotations := metadata.annotations:
        if str(annotations.get(naming.INJECT_ANNOTATION, "")).strip().lower() == "false":
            return Outcome.OPTED_OUT
        if _MIRROR in annotations:
            return Outcome.MIRROR  # static pods: the kubelet runs its file, not what the API server holds
    for owner in metadata.owner_references or ():
        if owner.kind == "Node":
            return Outcome.MIRROR
    selector = body.node_selector
    if (body.os and body.os.name == "windows") or (selector and "windows" in map(selector.get, _OS_LABELS)):
        return Outcome.WINDOWS
    return None


def _containers(body: Spec, stores: set[str], spec: Injection) -> tuple[ContainerSight, ...]:
    kinds = (("initContainers", body.init_containers or ()), ("containers", body.containers or ()))
    return tuple(
        [
            _container(container, f"/spec/{kind}/{index}", stores, spec)
            for kind, containers in kinds
            for index, container in enumerate(containers)
        ]
    )


def _container(container: Container, path: str, stores: set[str], spec: Injection) -> ContainerSight:
    mounts, env = container.volume_mounts or (), container.env or ()
    store = _mounted_store(mounts, stores)
    if store is None and _taken(mounts, container.volume_devices or (), spec.mount):
        return ContainerSight(path, taken=True)
    where = spec.mount if store is None else store[1]
    java = _java_options(env, where) if naming.JKS in spec.formats else None
    return ContainerSight(path, bool(mounts), store, False, bool(env), _own(env, variables(where, spec)), java)


def _own(env: Sequence[Variable], wanted: Mapping[str, str]) -> frozenset[str]:
    own = _NONE
    for entry in env:
        if entry.name is not None and entry.name in wanted:
            own |= {entry.name}
    return own


def _mounted_store(mounts: Sequence[Mount], stores: set[str]) -> tuple[str, str] | None:
    """Volume and place where the container sees the whole trust store already. A subPath never updates: not whole."""
    for mount in mounts:
        where = mount.mount_path
        if mount.name in stores and len(where) < _PATH_BYTES and not (mount.sub_path or mount.sub_path_expr):
            return mount.name, where.rstrip("/")
    return None


def _taken(mounts: Sequence[Mount], devices: Sequence[Device], path: str) -> bool:
    """Is something else mounted (or a block device put) exactly at the path? The API server refuses two of them."""
    for mount in mounts:
        if mount.mount_path.rstrip("/") == path:
            return True
    return any(device.device_path.rstrip("/") == path for device in devices)


def _java_options(env: Sequence[Variable], where: str) -> JavaOptions | None:
    """Append our options to those that the container has, unless they say where trust comes from themselves."""
    # Of two variables of one name the last one is the container's.
    at = max((index for index, entry in enumerate(env) if entry.name == JAVA_OPTIONS), default=None)
    ours = java_truststore(where)
    if at is None or not ours or env[at].value_from is not None:
        return None
    options = env[at].value
    if options and JAVA_PROPERTY in options:
        return None
    both = f"{options} {ours}" if options else ours
    return JavaOptions(at, "add" if options is UNSET else "replace", both)


def _java_elsewhere(body: Spec) -> bool:
    return any(
        entry.name == JAVA_OPTIONS and entry.value_from is not None
        for container in (*(body.init_containers or ()), *(body.containers or ()))
        for entry in container.env or ()
    )


def _holds_store(volume: Volume, spec: Injection) -> bool:
    source = volume.config_map
    return source is not None and source.name == spec.config_map and not source.items
