"""The judge: one call of the openssl program for each chain, trust store and purpose."""

import subprocess
import tempfile
from pathlib import Path

from tests.auditor.facts import Chain, Store


class Judge:
    """Has openssl verify; files are kept by content, so that each is written once."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="auditor-")
        self.verifications = 0

    def close(self) -> None:
        """Remove the files."""
        self._folder.cleanup()

    def wrong(self, chain: Chain, store: Store, at: float, *, bare: bool = False) -> str:
        """Why openssl refuses the chain at a time (Unix seconds), "" when it takes it; `bare`: without the bridge."""
        tail = chain.bare if bare else chain.tail
        said = (self._verify(chain, tail, store, purpose, at) for purpose in chain.purposes or ("any",))
        return "; ".join(each for each in said if each)

    def _verify(self, chain: Chain, tail: bytes, store: Store, purpose: str, at: float) -> str:
        self.verifications += 1
        trust = ["-no-CApath", "-no-CAstore", "-CAfile", self._file(f"store-{store.digest}", store.roots)]
        untrusted = ["-untrusted", self._file(f"tail-{chain.digest}-{len(tail)}", tail)] if tail else []
        leaf = self._file(f"leaf-{chain.digest}", chain.leaf)
        options = ["-x509_strict", "-purpose", purpose, "-attime", str(int(at))]
        done = subprocess.run(
            ["openssl", "verify", *options, *trust, *untrusted, leaf], capture_output=True, text=True, check=False
        )
        good = done.returncode == 0 and done.stdout.strip() == f"{leaf}: OK"
        return "" if good else f"{purpose}: " + " ".join((done.stdout + done.stderr).split())

    def _file(self, name: str, content: bytes) -> str:
        path = Path(self._folder.name) / f"{name}.pem"
        if not path.exists():
            path.write_bytes(content + b"\n")
        return str(path)
