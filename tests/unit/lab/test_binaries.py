"""Where programs are looked for, in which order, and what happens when two callers want the same build."""

import threading
from pathlib import Path

import pytest

from anchorline import errors
from anchorline.lab import binaries, golang, locks, places, progress, versions
from anchorline.lab import compile as compiler

KUBECTL = versions.binary("kubectl")
STEP = progress.Step(name="etcd", position=1, total=1)


class Silent(progress.Plain):
    def show(self, step: progress.Step) -> None:
        """Say nothing."""


@pytest.fixture(autouse=True)
def _empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No assets, nothing on PATH but a shell, an empty cache."""
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def program(path: Path, says: str, *, code: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
    path.chmod(0o755)
    return path


def test_assets_come_before_path_and_path_before_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert binaries.present(KUBECTL) is None
    in_cache = program(binaries.cached(KUBECTL), "never asked")
    assert binaries.present(KUBECTL) == in_cache
    on_path = program(tmp_path / "path" / "kubectl", "Client Version: v1.37.9")
    assert binaries.present(KUBECTL) == on_path
    asset = program(tmp_path / "assets" / "kubectl", "Client Version: v1.36.0")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "assets"))
    assert binaries.present(KUBECTL) == asset


@pytest.mark.parametrize(("says", "code"), [("Client Version: v1.32.4", 0), ("v1.37.2", 1), ("no idea", 0)])
def test_what_does_not_fit_or_does_not_answer_is_passed_over(tmp_path: Path, says: str, code: int) -> None:
    program(tmp_path / "path" / "kubectl", says, code=code)
    assert binaries.present(KUBECTL) is None


def test_a_file_that_is_no_program_is_passed_over(tmp_path: Path) -> None:
    program(tmp_path / "path" / "kubectl", "").write_bytes(b"\x7fnothing")
    assert binaries.present(KUBECTL) is None


def test_the_cache_is_keyed_by_version(tmp_path: Path) -> None:
    assert binaries.cached(KUBECTL) == tmp_path / "cache" / "anchorline" / "bin" / "kubernetes-v1.37.2" / "kubectl"


def test_a_build_writes_beside_its_target_and_shows_what_it_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = tmp_path / "go"
    go.write_text(
        "#!/bin/sh\n[ $1 = list ] && { echo a; echo b; exit; }\n"
        'while [ "$1" != -o ]; do shift; done\necho a; echo b\n: > "$2"\n'
    )
    go.chmod(0o755)
    monkeypatch.setattr(golang, "toolchain", lambda: go)
    steps: list[progress.Step] = []
    display = Silent()
    monkeypatch.setattr(display, "show", steps.append)
    target = binaries.cached(versions.binary("etcd"))
    assert compiler.compiled(versions.binary("etcd"), target, STEP, display) == target
    assert target.is_file()
    assert not target.with_suffix(".part").exists()
    assert (steps[-1].compiled, steps[-1].packages) == (2, 2)


def test_a_failed_build_leaves_nothing_and_tells_what_go_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golang, "toolchain", lambda: program(tmp_path / "go", "a.go:1: undefined: x", code=1))
    target = binaries.cached(versions.binary("etcd"))
    with pytest.raises(errors.NotReady, match="undefined: x"):
        compiler.compiled(versions.binary("etcd"), target, STEP, Silent())
    assert [file.name for file in target.parent.iterdir()] == [".lock"]


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = program(tmp_path / "go", "write /x: no space left on device", code=1)
    monkeypatch.setattr(golang, "toolchain", lambda: go)
    with pytest.raises(errors.NotReady, match="disk is full"):
        compiler.compiled(versions.binary("etcd"), binaries.cached(versions.binary("etcd")), STEP, Silent())


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(errors.NotReady, match=r"cache folder .*file/anchorline cannot be used.* XDG_CACHE_HOME"):
        binaries.locate("etcd")


def test_the_second_caller_waits_and_then_finds_the_binary(monkeypatch: pytest.MonkeyPatch) -> None:
    binary = versions.binary("etcd")
    target = binaries.cached(binary)
    building, finish, built = threading.Event(), threading.Event(), []

    def build(_: versions.Binary, path: Path, *__: object) -> None:
        building.set()
        assert finish.wait(10)
        built.append(path)
        path.touch()

    monkeypatch.setattr(compiler, "_build", build)
    callers = [
        threading.Thread(target=compiler.compiled, args=(binary, target, STEP, Silent()), daemon=True) for _ in "12"
    ]
    for caller in callers:
        caller.start()
    assert building.wait(10)
    finish.set()
    for caller in callers:
        caller.join(10)
    assert built == [target]


def test_a_lock_that_is_not_given_back_in_time_is_named(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with locks.held(lock, "nobody"):
        assert locks.taken(lock)
        with (
            pytest.raises(errors.NotReady, match="Gave up waiting for a neighbour"),
            locks.held(lock, "a neighbour", deadline_seconds=0),
        ):
            pass
    assert not locks.taken(lock)


def test_without_go_and_without_pip_the_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", str(program(tmp_path / "python", "No module named venv", code=1)))
    with pytest.raises(errors.NotReady, match=r"install Go, or python3-venv and pip.*No module named venv"):
        golang.toolchain()


@pytest.mark.parametrize(("release", "expected"), [("go1.26.8", True), ("go1.25.5", False), ("devel", False)])
def test_go_on_path_counts_from_1_26(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str, expected: bool
) -> None:
    go = program(tmp_path / "path" / "go", release)
    monkeypatch.setattr(golang, "_installed", lambda: Path("installed"))
    assert golang.toolchain() == (go if expected else Path("installed"))


@pytest.mark.parametrize("name", ["", ".", "..", "a/b"])
def test_a_lab_name_is_one_folder(name: str) -> None:
    with pytest.raises(errors.InvalidSpec, match="not a folder name"):
        places.lab(name)
