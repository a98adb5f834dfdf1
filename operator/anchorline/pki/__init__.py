"""PURE: X.509. Keys, names, profiles, issuing, PEM, bundles, renewal, verification, description; time, keys and serials come in as arguments."""
