"""camfleet: multi-camera video analytics that keeps a stated latency."""
