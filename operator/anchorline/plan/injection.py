"""What is injected into a pod: the trust store as a directory, the variables that point runtimes at it, one label."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, NamedTuple

from anchorline.api import naming

Operation = dict[str, Any]
Object = dict[str, Any]

# One full bundle under all of these made 28 of 31 runtime set-ups trust both a private and a public server
# (`facts/trust-in-clients.md` §3.2). Never SSL_CERT_DIR: curl then ignores SSL_CERT_FILE.
VARIABLES: Final = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "PIP_CERT",
    "NODE_EXTRA_CA_CERTS",
    "DENO_CERT",
    "AWS_CA_BUNDLE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "PERL_LWP_SSL_CA_FILE",
    "CARGO_HTTP_CAINFO",
)

JAVA_OPTIONS: Final = "JAVA_TOOL_OPTIONS"
_JAVA_PROPERTY: Final = "-Djavax.net.ssl.trustStore"  # and, as a beginning, those of its type and password
_JAVA_OPTIONS_ELSEWHERE: Final = f"anchorline: {JAVA_OPTIONS} is set by valueFrom: Java gets no trust store from us"
# Java splits its options at blanks, and knows quotes: any other path would keep it from starting.
_PLAIN_PATH: Final = re.compile(r"[\w./-]+", re.ASCII)

_MIRROR: Final = "kubernetes.io/config.mirror"
_OS_LABELS: Final = ("kubernetes.io/os", "beta.kubernetes.io/os")
_LABEL_PATH: Final = "/metadata/labels/" + naming.INJECTED_LABEL.replace("~", "~0").replace("/", "~1")


class Outcome(StrEnum):
    """What became of a pod, one word per cause; label value of `anchorline_webhook_requests_total`."""

    INJECTED = "injected"
    ALREADY = "already"
    OPTED_OUT = "opted-out"
    WINDOWS = "windows"
    MIRROR = "mirror"
    FOREIGN_VOLUME = "foreign-volume"
    FOREIGN_MOUNT = "foreign-mount"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """What to inject: which ConfigMap, under which volume name, where, and the variables that name its full bundle."""

    config_map: str = naming.TRUST_STORE
    volume: str = naming.TRUST_VOLUME
    mount: str = naming.TRUST_MOUNT
    file: str = naming.FULL_BUNDLE
    variables: tuple[str, ...] = field(default=VARIABLES)
    formats: tuple[str, ...] = ()


DEFAULT: Final = Injection()


class Decision(NamedTuple):
    """An outcome and, only with `Outcome.INJECTED`, the JSON patch (RFC 6902) that brings it about.

    `warning` is a sentence for who creates the pod when a part of it could not be given what it asked for.
    """

    outcome: Outcome
    operations: list[Operation]
    warning: str = ""


class _Malformed(Exception):
    """Not the shape of a pod; never leaves this module."""


def injection(pod: Mapping[str, Any], *, spec: Injection = DEFAULT) -> list[Operation]:
    """JSON patch (RFC 6902) that injects the trust store; empty when there is nothing to do. See `decide`."""
    return decide(pod, spec=spec).operations


def outcome(pod: Mapping[str, Any], *, spec: Injection = DEFAULT) -> Outcome:
    """Why something, or nothing, is injected into the pod. See `decide`."""
    return decide(pod, spec=spec).outcome


def decide(pod: object, *, spec: Injection = DEFAULT) -> Decision:
    """Decide what is injected into a pod. Total (any JSON value), idempotent (a patched pod yields no operation).

    Every container and init container (sidecars are init containers) gets the mount and those variables that it does
    not set itself; ephemeral containers get nothing. Only `volumes`, `volumeMounts`, `env` and one label are touched.
    The one value that is changed is that of JAVA_TOOL_OPTIONS, with the format `jks`, and only by appending to it.

    - A container that already mounts the trust store elsewhere keeps that mount, and its variables point there.
    - A container with something else at our path is left alone: a variable must never name a file that is not there.
    - A volume that has our name and is something else: the whole pod is left alone, as two volumes of one name would
      make the API server refuse it.
    - `envFrom` is not looked into (its ConfigMap or Secret is not in the pod). Kubernetes lets `env` win over
      `envFrom`, so a variable that comes only from `envFrom` is overridden by ours: put it in `env`, or opt out.
    - Windows by node affinity alone is not recognised; `spec.os` and the node selector are.
    """
    try:
        return _decide(_mapping(pod), spec)
    except _Malformed:
        return Decision(Outcome.MALFORMED, [])


def _decide(pod: Object, spec: Injection) -> Decision:
    metadata, body = _mapping(pod.get("metadata")), _mapping(pod.get("spec"))
    if (left_alone := _left_alone(metadata, body)) is not None:
        return Decision(left_alone, [])
    volumes = _objects(body, "volumes")
    ours = _volume_is_ours(volumes, spec)
    if ours is False:
        return Decision(Outcome.FOREIGN_VOLUME, [])
    stores = _trust_volumes(volumes, spec)
    operations: list[Operation] = []
    reached = _into_containers(body, stores, spec, operations)
    if not reached:
        return Decision(Outcome.FOREIGN_MOUNT, [])
    if ours is None and spec.volume in reached:
        operations.append(_append("/spec/volumes", volumes, _volume(spec)))
    operations.extend(_label(metadata))
    warning = _JAVA_OPTIONS_ELSEWHERE if naming.JKS in spec.formats and _options_elsewhere(body) else ""
    return Decision(Outcome.INJECTED if operations else Outcome.ALREADY, operations, warning)


def _left_alone(metadata: Object, body: Object) -> Outcome | None:
    annotations = _optional(metadata, "annotations")
    if str(annotations.get(naming.INJECT_ANNOTATION, "")).strip().lower() == "false":
        return Outcome.OPTED_OUT
    if _MIRROR in annotations or any(o.get("kind") == "Node" for o in _objects(metadata, "ownerReferences")):
        return Outcome.MIRROR  # static pods: the kubelet runs its file, not what the API server holds
    selector = _optional(body, "nodeSelector")
    if _optional(body, "os").get("name") == "windows" or any(selector.get(key) == "windows" for key in _OS_LABELS):
        return Outcome.WINDOWS
    return None


def _into_containers(body: Object, stores: set[str], spec: Injection, operations: list[Operation]) -> set[str]:
    """Append the operations for all containers; the names of the trust volumes that they mount afterwards."""
    reached: set[str] = set()
    if not _objects(body, "containers"):
        raise _Malformed
    for kind in ("initContainers", "containers"):
        for index, container in enumerate(_objects(body, kind)):
            mounts = _objects(container, "volumeMounts")
            path = f"/spec/{kind}/{index}"
            mounted = _mounted_store(mounts, stores)
            if mounted is not None:
                volume, where = mounted
            elif _taken(container, mounts, spec.mount):
                continue
            else:
                volume, where = spec.volume, spec.mount
                operations.append(_append(f"{path}/volumeMounts", mounts, _mount(spec)))
            reached.add(volume)
            env = _objects(container, "env")
            operations.extend(_variables(path, env, where, spec))
            if naming.JKS in spec.formats:
                operations.extend(_java_options(path, env, where))
    return reached


def _mounted_store(mounts: list[Object], stores: set[str]) -> tuple[str, str] | None:
    """Volume and place where the container sees the whole trust store already. A subPath never updates: not whole."""
    for mount in mounts:
        name, where = mount.get("name"), mount.get("mountPath")
        if isinstance(name, str) and name in stores and not (mount.get("subPath") or mount.get("subPathExpr")):
            if not isinstance(where, str):
                raise _Malformed
            return name, where.rstrip("/")
    return None


def _taken(container: Object, mounts: list[Object], path: str) -> bool:
    """Is something else mounted (or a block device put) exactly at the path? The API server refuses two of them."""
    devices = _objects(container, "volumeDevices")
    for place in (*(mount.get("mountPath") for mount in mounts), *(device.get("devicePath") for device in devices)):
        if isinstance(place, str) and place.rstrip("/") == path:
            return True
    return False


def _variables(path: str, env: list[Object], where: str, spec: Injection) -> tuple[Operation, ...]:
    """Operations that set the variables which the container does not set, by `value` or by `valueFrom`."""
    wanted = _wanted(where, spec)
    names = tuple(wanted)
    if not env:
        return _added(f"{path}/env", where, spec, names)
    there = {name for entry in env if isinstance(name := entry.get("name"), str)}
    # Nearly no container sets any of them.
    missing = names if there.isdisjoint(names) else tuple(name for name in names if name not in there)
    return _added(f"{path}/env/-", where, spec, missing)


@lru_cache(maxsize=64)
def _wanted(where: str, spec: Injection) -> dict[str, str]:
    """Variables and their values for a trust store at `where`. It is shared between pods: read, never changed."""
    wanted = dict.fromkeys(spec.variables, f"{where}/{spec.file}")
    if naming.JKS in spec.formats and (options := _java_truststore(where)):
        wanted[JAVA_OPTIONS] = options
    if naming.WGETRC in spec.formats and where == spec.mount:
        # What is written in it names the bundle where we mount it, and nowhere else.
        wanted["WGETRC"] = f"{where}/{naming.WGETRC_FILE}"
    return wanted


@lru_cache(maxsize=256)
def _added(path: str, where: str, spec: Injection, names: tuple[str, ...]) -> tuple[Operation, ...]:
    """Operations that add the variables at `path`. They are shared between pods: read, never changed."""
    wanted = _wanted(where, spec)
    entries = [{"name": name, "value": wanted[name]} for name in names]
    if not path.endswith("/-"):
        return ({"op": "add", "path": path, "value": entries},)
    return tuple({"op": "add", "path": path, "value": entry} for entry in entries)


def _java_truststore(where: str) -> str:
    """Java's options for a trust store at `where`, "" for a path that cannot be written in them."""
    if not _PLAIN_PATH.fullmatch(where):
        return ""
    return f"{_JAVA_PROPERTY}={where}/{naming.JAVA_TRUSTSTORE} {_JAVA_PROPERTY}Type=JKS"


def _java_options(path: str, env: list[Object], where: str) -> list[Operation]:
    """Append our options to those that the container has, unless they say where trust comes from themselves."""
    # Of two variables of one name the last one is the container's.
    at = max((index for index, entry in enumerate(env) if entry.get("name") == JAVA_OPTIONS), default=None)
    ours = _java_truststore(where)
    if at is None or not ours or env[at].get("valueFrom") is not None:
        return []
    options = env[at].get("value")
    if options is not None and not isinstance(options, str):
        raise _Malformed
    if options and _JAVA_PROPERTY in options:
        return []
    both = f"{options} {ours}" if options else ours
    return [{"op": "replace" if "value" in env[at] else "add", "path": f"{path}/env/{at}/value", "value": both}]


def _options_elsewhere(body: Object) -> bool:
    """Whether a container takes its options from where we cannot append to them."""
    return any(
        entry.get("name") == JAVA_OPTIONS and entry.get("valueFrom") is not None
        for kind in ("initContainers", "containers")
        for container in _objects(body, kind)
        for entry in _objects(container, "env")
    )


def _label(metadata: Object) -> list[Operation]:
    """A rotation counts injected pods by this label, so it must be true whatever the pod's template says."""
    labels = _optional(metadata, "labels")
    if labels.get(naming.INJECTED_LABEL) == "true":
        return []
    if not labels:
        return [{"op": "add", "path": "/metadata/labels", "value": {naming.INJECTED_LABEL: "true"}}]
    return [{"op": "add", "path": _LABEL_PATH, "value": "true"}]


def _volume_is_ours(volumes: list[Object], spec: Injection) -> bool | None:
    """Is the volume with our name the trust store? None: there is no volume with our name."""
    named = [volume for volume in volumes if volume.get("name") == spec.volume]
    return all(_holds_store(volume, spec) for volume in named) if named else None


def _trust_volumes(volumes: list[Object], spec: Injection) -> set[str]:
    """Names of the volumes that hold the whole trust store, the one that we may add included."""
    names = (volume.get("name") for volume in volumes if _holds_store(volume, spec))
    return {spec.volume, *(name for name in names if isinstance(name, str))}


def _holds_store(volume: Object, spec: Injection) -> bool:
    source = volume.get("configMap")
    return isinstance(source, dict) and source.get("name") == spec.config_map and not source.get("items")


def _volume(spec: Injection) -> Object:
    return {"name": spec.volume, "configMap": {"name": spec.config_map, "defaultMode": 0o444, "optional": True}}


def _mount(spec: Injection) -> Object:
    return {"name": spec.volume, "mountPath": spec.mount, "readOnly": True}


def _append(path: str, there: list[Object], value: Object) -> Operation:
    """Append to a list, which RFC 6902 can only do when the list is there."""
    if there:
        return {"op": "add", "path": f"{path}/-", "value": value}
    return {"op": "add", "path": path, "value": [value]}


def _mapping(value: object) -> Object:
    if not isinstance(value, dict):
        raise _Malformed
    return value


def _optional(parent: Object, key: str) -> Object:
    value = parent.get(key)
    return {} if value is None else _mapping(value)


def _objects(parent: Object, key: str) -> list[Object]:
    """A list of objects; absent and null are the empty list."""
    value = parent.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise _Malformed
    for item in value:
        if not isinstance(item, dict):
            raise _Malformed
    return value
