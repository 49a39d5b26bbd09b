"""A camera's second stream: received and kept as packets, never decoded but for key frames that tell its time."""
