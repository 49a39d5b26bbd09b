"""What passes lines and zones: in truth, by our rules, by other libraries' counters; and how near they come."""
