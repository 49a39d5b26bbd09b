"""What can be found out before a fleet runs: whether its model, ports, keys and cameras work, and the machine does."""
