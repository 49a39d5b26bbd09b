"""What `chaos.py` and `soak.py` share: a fleet with an owner, faults on it, a subscriber that keeps books."""
