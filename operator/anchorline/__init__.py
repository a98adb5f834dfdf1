"""Anchorline makes a private root certificate trusted by every workload of a cluster, and keeps it so."""

__version__ = "0.1.0"
