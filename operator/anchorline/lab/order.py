"""What a caller asks of a supervisor process, as it travels from one to the other."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from anchorline.lab.folder import Folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a caller wants: where, which programs, how durable, until when it must be ready (seconds)."""

    module: ClassVar[str] = "anchorline.lab.supervise"

    directory: str
    binaries: dict[str, str]
    fsync: bool
    port: int | None
    deadline: float
    caller: int

    @property
    def folder(self) -> Folder:
        """The lab's folder."""
        return Folder(root=Path(self.directory))
