"""Files that only their owner may read, written whole or not at all."""

import tempfile
from pathlib import Path


def write(path: Path, content: bytes) -> Path:
    """Write a file with mode 0600 and return its path.

    Who reads it meanwhile sees the old content or the new one; of several who write it, one is the last.
    """
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        part = Path(file.name)
        try:
            file.write(content)
            file.flush()
            return part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
