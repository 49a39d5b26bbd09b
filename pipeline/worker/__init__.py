"""Slots in, messages out: the scheduler, the lanes and the loop that joins them with detector, tracker and publisher."""
