"""A file is there whole or not at all, however many write it, and only its owner reads it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from anchorline.lab import files


def test_several_writers_at_once_leave_one_of_their_contents_and_nothing_else(tmp_path: Path) -> None:
    path, contents = tmp_path / "config", [bytes([number]) * 100_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda content: [files.write(path, content) for _ in range(20)][-1], contents))
    assert done == [path] * 8
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_put_in_its_place_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken" / "by a folder").mkdir(parents=True)
    with pytest.raises(OSError, match="taken"):
        files.write(tmp_path / "taken", b"content")
    assert [each.name for each in tmp_path.iterdir()] == ["taken"]
