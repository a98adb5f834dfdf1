"""PURE: decisions. What was observed goes in, a printable plan without key material comes out."""
