"""Slots in, messages out: scheduler, lanes, and the loop that joins them with detector, tracker and publisher."""
