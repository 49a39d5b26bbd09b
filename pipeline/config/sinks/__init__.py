"""What a fleet file says of its sinks: one kind a file, known by its class."""
