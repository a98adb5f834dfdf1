"""What the stories need and take long to have, before any of them is told: programs, packages, images."""

import sys

from tests.e2e import images
from tests.e2e.given import kubeconfig

from anchorline import errors
from anchorline.lab import binaries
from anchorline.lab.node import components, debian

# A browser, its store, and a compiler for one of the clients; all else is what a node needs.
PACKAGES = ("chromium", "libnss3-tools", "debootstrap", "openjdk-17-jdk-headless")


def main() -> int:
    """Have it all where there can be a node; elsewhere the stories themselves say why they are left out."""
    try:
        binaries.locate_all(("kubectl", "helm"))
        if kubeconfig() or debian.why_not():
            return 0
        debian.require_packages((*debian.PACKAGES, *PACKAGES))
        binaries.locate_all((*components.BUILT, "pause"))
        images.operator()
        images.clients()
    except errors.AnchorlineError as error:
        print(f"anchorline: {error.message}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
