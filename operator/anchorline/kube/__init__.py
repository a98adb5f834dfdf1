"""I/O: the API server. Client, caches, lease, observing and applying; the only importer of the kubernetes client."""
