"""Images written without an image tool: the same bytes each time, and layers that can be read again."""

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import anchorline
from anchorline import __version__, errors
from anchorline.lab import image, imagebuild, imagesite, places


def tree(root: Path) -> Path:
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "tool").write_text("#!/bin/sh\n")
    (root / "bin" / "tool").chmod(0o700)
    (root / "note").write_text("hello")
    (root / "note").chmod(0o666)
    (root / "link").symlink_to("note")
    return root


def test_a_layer_depends_on_content_only(tmp_path: Path) -> None:
    one = image.layer(tree(tmp_path / "a"), tmp_path / "a.tar", epoch=86400)
    two = image.layer(tree(tmp_path / "b"), tmp_path / "b.tar", epoch=86400)
    assert one.digest == two.digest
    with tarfile.open(one.path) as tar:
        entries = {entry.name: entry for entry in tar}
    assert {entry.uid for entry in entries.values()} == {0}
    assert {entry.mtime for entry in entries.values()} == {86400}
    assert (entries["./bin/tool"].mode, entries["./note"].mode) == (0o755, 0o644)


def test_what_is_excluded_is_not_in_the_layer(tmp_path: Path) -> None:
    made = image.layer(tree(tmp_path / "a"), tmp_path / "a.tar", epoch=0, exclude=("./bin/*",))
    with tarfile.open(made.path) as tar:
        assert "./bin/tool" not in tar.getnames()


def test_an_archive_names_its_image_and_gives_its_layers_back(tmp_path: Path) -> None:
    layer = image.layer(tree(tmp_path / "a"), tmp_path / "a.tar", epoch=0)
    archive = tmp_path / "image.tar"
    digest = image.write(archive, "example/tool:1", [layer], {"User": "65532"}, "x86_64")
    assert digest == image.write(tmp_path / "again.tar", "example/tool:1", [layer], {"User": "65532"}, "x86_64")
    assert archive.read_bytes() == (tmp_path / "again.tar").read_bytes()
    with tarfile.open(archive) as tar:
        index = json.loads(tar.extractfile("index.json").read())  # type: ignore[union-attr]
    (manifest,) = index["manifests"]
    assert manifest["digest"] == digest
    assert manifest["platform"] == {"architecture": "amd64", "os": "linux"}
    assert manifest["annotations"]["io.containerd.image.name"] == "example/tool:1"
    (again,) = image.read_layers(archive, tmp_path)
    assert (again.digest, again.size) == (layer.digest, layer.size)
    assert again.path.read_bytes() == layer.path.read_bytes()


def test_archives_of_other_tools_become_the_same_bytes(tmp_path: Path) -> None:
    made = []
    for dated, order in enumerate((("a", "b"), ("b", "a"))):
        archive = tmp_path / f"{dated}.tar"
        with tarfile.open(archive, "w") as tar:
            for name in order:
                entry = tarfile.TarInfo(name)
                entry.size, entry.mtime = len(name), dated
                tar.addfile(entry, io.BytesIO(name.encode()))
        image.undate(archive)
        made.append(archive.read_bytes())
        with tarfile.open(archive) as tar:
            assert tar.extractfile("b").read() == b"b"  # type: ignore[union-attr]
    assert made[0] == made[1]


def test_a_folder_that_tar_cannot_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(errors.NotReady, match="tar could not make a layer of"):
        image.layer(tmp_path / "nowhere", tmp_path / "x.tar", epoch=0)


def test_the_image_made_by_hand_is_configured_as_the_containerfile_says() -> None:
    said = (places.sources().parent / "Containerfile").read_text()
    config = imagebuild.config()
    assert f"USER {config['User']}" in said
    assert f"ENTRYPOINT {json.dumps(config['Entrypoint'])}" in said
    assert f"CMD {json.dumps(config['Cmd'])}" in said
    variables = [each for each in config["Env"] if not each.startswith("PATH=")]  # type: ignore[attr-defined]
    assert f"ENV {' '.join(variables)}" in said


def test_the_image_has_the_name_that_the_chart_looks_for() -> None:
    assert imagebuild.name().endswith(f"/anchorline:{__version__}")


def test_the_bill_of_materials_names_every_distribution_once(tmp_path: Path) -> None:
    for name, version, words in (("anchorline", "1.0", "License: Apache-2.0"), ("B_c", "2", "License-Expression: MIT")):
        info = tmp_path / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{words}\n")
    bill = imagesite.bill(tmp_path)
    assert bill["metadata"]["component"]["purl"] == "pkg:pypi/anchorline@1.0"
    (component,) = bill["components"]
    assert component["purl"] == "pkg:pypi/b-c@2"
    assert component["licenses"] == [{"expression": "MIT"}]


def test_the_command_works_without_the_lab() -> None:
    """As in the image, which has neither the lab nor the packages that only the lab needs."""
    hidden = "import sys; sys.modules.update(dict.fromkeys(('anchorline.lab', 'kubernetes', 'rich')))\n"
    script = f"{hidden}from anchorline.cli.main import parser; print(parser().format_help())"
    environment = {"PYTHONPATH": str(Path(anchorline.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "operator" in done.stdout
    assert "lab" not in done.stdout
