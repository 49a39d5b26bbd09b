"""What is in results that a sink has kept: read from files or databases, counted, and shown."""
