"""I/O: the running processes. kopf, work queue, reconcile, webhook, metrics, settings; kopf's only importer."""
