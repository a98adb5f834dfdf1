"""Writes container images as OCI archives, without any image tool: layers from folders, the same bytes each time."""

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anchorline import errors

_MEDIA = "application/vnd.oci.image"
_CHUNK = 1 << 20
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# Without these a pax header would carry the time and the process of its writing.
_PAX = "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime"


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: an uncompressed tar file, its SHA-256 and its size."""

    path: Path
    digest: str
    size: int


def layer(root: Path, target: Path, *, epoch: int, owners: bool = False, exclude: Sequence[str] = ()) -> Layer:
    """Make a layer of what is below `root`: sorted, dated `epoch` at the latest, owned by root unless `owners`.

    Raises `NotReady` when tar refuses.
    """
    command = ["tar", "--format=pax", _PAX, "--numeric-owner", "--sort=name", f"--mtime=@{epoch}", "--clamp-mtime"]
    command += [f"--exclude={pattern}" for pattern in exclude]
    command += [] if owners else ["--owner=0", "--group=0", "--mode=u+rw,go+rX,go-w"]
    done = subprocess.run([*command, "-C", root, "-cf", target, "."], capture_output=True, text=True, check=False)
    if done.returncode:
        raise errors.NotReady(f"tar could not make a layer of {root}: {done.stderr.strip()}")
    with target.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Layer(target, digest, target.stat().st_size)


def write(archive: Path, name: str, layers: Sequence[Layer], config: dict[str, Any], machine: str) -> str:
    """Write an archive with one image called `name`; returns its digest. `archive` appears whole or not at all."""
    platform = {"architecture": _ARCHITECTURES.get(machine, machine), "os": "linux"}
    settings = _json(
        {
            **platform,
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{each.digest}" for each in layers]},
            "history": [{"created_by": "anchorline"} for _ in layers],
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_MEDIA}.manifest.v1+json",
            "config": _descriptor("config.v1+json", settings),
            "layers": [_described("layer.v1.tar", each.digest, each.size) for each in layers],
        }
    )
    names = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
    top = {**_descriptor("manifest.v1+json", manifest), "platform": platform, "annotations": names}
    index = _json({"schemaVersion": 2, "mediaType": f"{_MEDIA}.index.v1+json", "manifests": [top]})
    _pack(archive, {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": index}, (settings, manifest), layers)
    return f"sha256:{_sha(manifest)}"


def _pack(archive: Path, files: dict[str, bytes], blobs: Sequence[bytes], layers: Sequence[Layer]) -> None:
    part = archive.with_suffix(".part")
    with tarfile.open(part, "w") as tar:
        for name, content in files.items():
            _add(tar, name, content)
        for blob in blobs:
            _add(tar, f"blobs/sha256/{_sha(blob)}", blob)
        for each in {each.digest: each for each in layers}.values():
            entry = tarfile.TarInfo(f"blobs/sha256/{each.digest}")
            entry.size = each.size
            with each.path.open("rb") as file:
                tar.addfile(entry, file)
    part.replace(archive)


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def undate(archive: Path) -> None:
    """Write another tool's archive anew, its files sorted and without dates: the same image is the same bytes."""
    part = archive.with_suffix(".part")
    with tarfile.open(archive) as theirs, tarfile.open(part, "w") as ours:
        for member in sorted((each for each in theirs if each.isfile()), key=lambda each: each.name):
            entry = tarfile.TarInfo(member.name)
            entry.size = member.size
            ours.addfile(entry, theirs.extractfile(member))
    part.replace(archive)


def read_layers(archive: Path, folder: Path) -> list[Layer]:
    """Unpack the layers of the one image in `archive` into `folder`."""
    with tarfile.open(archive) as tar:
        manifest = _member(tar, _member(tar, None)["manifests"][0]["digest"])
        return [_unpacked(tar, each["digest"].partition(":")[2], folder) for each in manifest["layers"]]


def _member(tar: tarfile.TarFile, digest: str | None) -> Any:  # noqa: ANN401 - JSON
    name = f"blobs/sha256/{digest.partition(':')[2]}" if digest else "index.json"
    file = tar.extractfile(name)
    if file is None:
        raise errors.InvalidSpec(f"The archive {tar.name!s} has no {name}; it is not an OCI archive.")
    return json.load(file)


def _unpacked(tar: tarfile.TarFile, digest: str, folder: Path) -> Layer:
    target = folder / f"{digest}.tar"
    source = tar.extractfile(f"blobs/sha256/{digest}")
    if source is None:
        raise errors.InvalidSpec(f"The archive {tar.name!s} misses a layer; make it again.")
    with target.open("wb") as file:
        shutil.copyfileobj(source, file, _CHUNK)
    return Layer(target, digest, target.stat().st_size)


@contextmanager
def scratch(target: Path) -> Iterator[Path]:
    """A folder beside `target` to make it in, for who holds a lock; one that a killed run has left is removed first."""
    folder = target.with_suffix(".scratch")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def single_file(program: Path, archive: Path, name: str, machine: str) -> None:
    """Write an image of one static program, which it starts as nobody."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "root"
        root.mkdir()
        shutil.copy(program, root / program.name)
        (root / program.name).chmod(0o755)
        only = layer(root, Path(scratch) / "layer.tar", epoch=0)
        write(archive, name, [only], {"Entrypoint": [f"/{program.name}"], "User": "65535:65535"}, machine)


def _descriptor(kind: str, content: bytes) -> dict[str, Any]:
    return _described(kind, _sha(content), len(content))


def _described(kind: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": f"{_MEDIA}.{kind}", "digest": f"sha256:{digest}", "size": size}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
