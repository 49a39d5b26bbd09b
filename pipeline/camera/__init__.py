"""One camera's process: from its address to pictures in a slot and a tick for every frame."""
