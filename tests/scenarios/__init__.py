"""Scenarios of a rotation, each a PrivateCA of its own, so that many run side by side on one control plane."""
