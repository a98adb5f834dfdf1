"""I/O: the webhook process. Reviews in and out, the TLS server, its own serving certificate, signals."""
