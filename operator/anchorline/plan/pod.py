"""What of a pod its injection looks at, as types: all the rest of a review is skipped while it is decoded.

Nearly everything is optional, and null is as good as absent: the API server leaves out what is empty. A value of
another type is no pod, and is refused as a whole.
"""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType


class Variable(msgspec.Struct, gc=False, rename="camel"):
    """An entry of a container's `env`."""

    name: str | None = None
    value: str | UnsetType | None = UNSET
    value_from: dict[str, Any] | None = None


class Mount(msgspec.Struct, gc=False, rename="camel"):
    """An entry of a container's `volumeMounts`."""

    mount_path: str
    name: str | None = None
    sub_path: str | None = None
    sub_path_expr: str | None = None


class Device(msgspec.Struct, gc=False, rename="camel"):
    """An entry of a container's `volumeDevices`."""

    device_path: str


class Container(msgspec.Struct, gc=False, rename="camel"):
    """A container, or an init container."""

    env: list[Variable] | None = None
    volume_mounts: list[Mount] | None = None
    volume_devices: list[Device] | None = None


class ConfigMapSource(msgspec.Struct, gc=False):
    """The ConfigMap of a volume."""

    name: str | None = None
    items: list[Any] | None = None


class Volume(msgspec.Struct, gc=False, rename="camel"):
    """An entry of a pod's `volumes`."""

    name: str | None = None
    config_map: ConfigMapSource | None = None


class OperatingSystem(msgspec.Struct, gc=False):
    """`spec.os`."""

    name: str | None = None


class Spec(msgspec.Struct, gc=False, rename="camel"):
    """`spec`."""

    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    volumes: list[Volume] | None = None
    os: OperatingSystem | None = None
    node_selector: dict[str, Any] | None = None


class Owner(msgspec.Struct, gc=False):
    """An entry of `ownerReferences`."""

    kind: str | None = None


class Metadata(msgspec.Struct, gc=False, rename="camel"):
    """`metadata`."""

    annotations: dict[str, Any] | None = None
    labels: dict[str, Any] | None = None
    owner_references: list[Owner] | None = None


class Pod(msgspec.Struct, gc=False):
    """A pod."""

    metadata: Metadata
    spec: Spec
