"""What a supervisor process says is heard, whatever else is written between its answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from anchorline import errors
from anchorline.lab.folder import Folder
from anchorline.lab.supervisor import Supervisor


@dataclass(frozen=True)
class Talk:
    """An order for a program that says a few lines."""

    directory: str
    deadline: float = 20.0
    module: str = "talker"

    @property
    def folder(self) -> Folder:
        return Folder(root=Path(self.directory) / "lab")


@contextmanager
def talking(place: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> Iterator[Supervisor]:
    (place / "talker.py").write_text(f"import sys\n{program}\n")
    monkeypatch.setenv("PYTHONPATH", str(place))
    supervisor = Supervisor(Talk(str(place)))  # type: ignore[arg-type]
    try:
        yield supervisor
    finally:
        supervisor.close()


def test_other_lines_do_not_hide_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when two nodes start at once, and one waits for the other."""
    program = "print('waiting for another node that starts', file=sys.stderr); print('ok'); input(); print('ok')"
    with talking(tmp_path, monkeypatch, program) as supervisor:
        supervisor.await_answer()
        supervisor.tell("start etcd")


def test_an_error_is_raised_as_it_was_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = """print('a warning'); print('error ["InvalidSpec", "Port 1 is taken."]'); input()"""
    with (
        talking(tmp_path, monkeypatch, program) as supervisor,
        pytest.raises(errors.InvalidSpec, match=r"^Port 1 is taken\.$"),
    ):
        supervisor.await_answer()


def test_what_came_before_its_end_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        talking(tmp_path, monkeypatch, "print('one'); sys.exit('two')") as supervisor,
        pytest.raises(errors.ClusterError, match=r"supervisor failed: one\ntwo$"),
    ):
        supervisor.await_answer()
