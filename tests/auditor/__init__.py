"""The independent auditor of rotations: has openssl judge what a cluster serves and trusts; shares no code of ours."""
