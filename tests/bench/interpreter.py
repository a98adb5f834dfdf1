"""The Python that everything here runs on: the fastest of this version on this machine.

The image's Python (Debian's, or the official image's) was optimised with profiles when it was compiled. One that was
compiled without, as pyenv does by default, takes twice as long for the same loop: what it would measure is itself.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

_CHOSEN = "ANCHORLINE_BENCH_PYTHON"
_NAMES = ("python3", f"python3.{sys.version_info.minor}")
# Another one is taken when it needs less than this part of the time.
_WORTH = 0.9
_LOOP = """
import dataclasses, sysconfig, time

@dataclasses.dataclass(frozen=True, slots=True)
class Value:
    number: int
    text: str

def work():
    began = time.perf_counter()
    total = 0
    for number in range(20_000):
        value = Value(number, "x")
        total += len({"k": value.number, "v": [value.text]})
    return time.perf_counter() - began

print(sysconfig.get_config_var("SOABI"), min(work() for _ in range(7)))
"""


def seconds(python: str) -> float | None:
    """How long a fixed loop takes at best; None for a Python that cannot load this one's packages."""
    command = [python, "-I", "-c", _LOOP]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    abi, _, best = answer.stdout.strip().rpartition(" ")
    return float(best) if answer.returncode == 0 and abi == sysconfig.get_config_var("SOABI") else None


def fastest() -> str:
    """This Python, or one that is faster by more than a tenth."""
    places = [*os.environ.get("PATH", "").split(os.pathsep), *os.defpath.split(os.pathsep)]
    there = {path for name in _NAMES for place in places if place and (path := shutil.which(name, path=place))}
    timed = {path: taken for path in there if (taken := seconds(path)) is not None}
    ours = seconds(sys.executable)
    best = min(timed, key=lambda path: timed[path], default=sys.executable)
    return best if ours is not None and timed.get(best, ours) < _WORTH * ours else sys.executable


def go_on_with_the_fastest(arguments: list[str]) -> None:
    """Run `python -m tests.bench` again with the fastest Python; does not return when that is another one."""
    if _CHOSEN in os.environ or (best := fastest()) == sys.executable:
        return
    library = sysconfig.get_path("stdlib")
    packages = os.pathsep.join(each for each in sys.path if Path(each).is_dir() and not each.startswith(library))
    variables = {**os.environ, "PYTHONPATH": packages, _CHOSEN: best}
    os.execve(best, [best, "-s", "-m", "tests.bench", *arguments], variables)
