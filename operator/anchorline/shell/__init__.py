"""I/O: the running processes. kopf handlers, work queue, reconcile, webhook, metrics, settings; the only importer of kopf."""
