"""A small rendered town: deterministic pictures with exact boxes, for the sample recordings and the demo model."""
