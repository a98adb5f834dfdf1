"""Where the lab keeps things: the cache of binaries, the folders of running labs, and the committed Go modules."""

import os
import tempfile
from pathlib import Path
from secrets import token_hex

from anchorline import errors


def cache() -> Path:
    """Folder of everything that can be had again, shared by all labs of this user."""
    return _xdg("XDG_CACHE_HOME", ".cache") / "anchorline"


def lab(name: str) -> Path:
    """Folder of the lab called `name` that outlives the command that started it.

    Raises `InvalidSpec` for a name that would not be one folder below the user's state folder.
    """
    if not name or name in {".", ".."} or os.sep in name:
        raise errors.InvalidSpec(f"The lab name {name!r} is not a folder name; use letters, digits and dashes.")
    return _xdg("XDG_STATE_HOME", ".local/state") / "anchorline" / "lab" / name


def scratch() -> Path:
    """Return a folder name nobody has yet, for a lab that ends with its caller; the supervisor makes the folder."""
    return Path(tempfile.gettempdir()) / f"anchorline-lab-{token_hex(6)}"


def sources() -> Path:
    """Return the committed `hack/` folder with the pinned Go modules.

    Raises `NotReady` where there is none: an installed wheel does not carry it.
    """
    folder = Path(__file__).resolve().parents[3] / "hack"
    if not (folder / "kube" / "go.mod").is_file():
        raise errors.NotReady(
            "This installation has no hack/ folder with the pinned Go modules to build from; run from a clone of the "
            "repository, or point KUBEBUILDER_ASSETS at a folder that has the binaries."
        )
    return folder


def _xdg(variable: str, fallback: str) -> Path:
    """Return a base folder by the XDG rules: the variable counts only when it is an absolute path."""
    value = os.environ.get(variable, "")
    return Path(value) if value.startswith("/") else Path.home() / fallback
