"""What is done before the code of a long-lived process is loaded."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.certificates import a_root

ASK = """
import json, os, ssl, sys
from anchorline.shell.start import prepare
real, made = ssl.create_default_context, []
def create(*arguments, **named):
    context = real(*arguments, **named)
    made.append(len(context.get_ca_certs()))
    return context
ssl.create_default_context = create
before = dict(os.environ)
prepare()
print(json.dumps({"aiohttp": "aiohttp" in sys.modules, "same": dict(os.environ) == before, "roots": made}))
"""


@pytest.mark.parametrize("named", [False, True])
def test_aiohttp_is_loaded_without_the_roots_of_the_system(tmp_path: Path, *, named: bool) -> None:
    (roots := tmp_path / "roots.pem").write_bytes(a_root().certificate.pem)
    environment = {"PATH": "/usr/bin:/bin", **({"SSL_CERT_FILE": str(roots)} if named else {})}
    done = subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True)
    # One context asks for the roots, and gets none; whoever asks later finds the environment as it was.
    assert json.loads(done.stdout) == {"aiohttp": True, "same": True, "roots": [0]}
