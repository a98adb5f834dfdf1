"""What `anchorline` is as a program: exit codes and sentences, however it is called."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from anchorline.cli.main import main


def test_a_reader_who_goes_away_is_no_error_of_ours() -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "anchorline", "crds"]
    with os.fdopen(write, "wb") as out:
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["crds", "--write", str(tmp_path / "file")]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"anchorline: cannot write into {tmp_path}/file: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("arguments", [["nonsense"], [], ["plan", "--nonsense"], ["rotate", "internal"]])
def test_what_is_misspelled_is_answered_with_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "usage: anchorline" in capsys.readouterr().err
