"""Real TLS traffic through rotations: servers and clients of many stacks, a late kubelet, and who failed when."""
