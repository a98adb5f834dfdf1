"""PURE: the shapes of the custom resources, their schema, and every label, annotation, key and derived name."""
