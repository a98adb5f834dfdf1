"""I/O: a Kubernetes control plane on this machine, to try Anchorline and to test it on; not in the image."""
