"""I/O: the `anchorline` command, which is also `kubectl anchorline`."""
