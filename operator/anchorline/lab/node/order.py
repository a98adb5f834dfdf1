"""What a caller asks of the process that holds a node."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from anchorline.lab.order import Order


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOrder(Order):
    """An order of a lab with a node; `pause` is the archive of the image that every pod needs.

    The process that holds the node fills in the rest: itself, and the socket on which this machine reaches the node.
    """

    module: ClassVar[str] = "anchorline.lab.node.outside"

    pause: str
    outside: int = 0
    door: int = -1

    @property
    def detached(self) -> Path:
        """A file that is there when the caller need not live any more."""
        return self.folder.root / "detached"

    @property
    def init(self) -> Path:
        """A file with the process id, on this machine, of the first process of the node."""
        return self.folder.root / "init.pid"
