"""What a process that runs for months does before it loads its code."""

import importlib
import os

from anchorline.shell.collector import rare_collections

_ROOTS = "SSL_CERT_FILE"


def prepare() -> None:
    """Have the code loaded sooner, and without what it will not use."""
    rare_collections()
    _load_aiohttp()


def _load_aiohttp() -> None:
    """Import aiohttp while the file of the system's roots seems empty: to read it takes as long as aiohttp's own code.

    It reads them for a TLS context of connections that have none of their own. Ours have, and kopf's.
    """
    before = os.environ.get(_ROOTS)
    os.environ[_ROOTS] = os.devnull
    try:
        importlib.import_module("aiohttp")
    finally:
        if before is None:
            del os.environ[_ROOTS]
        else:
            os.environ[_ROOTS] = before
