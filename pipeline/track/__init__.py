"""From boxes on detected frames to objects on all frames."""
