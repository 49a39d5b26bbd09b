"""`camfleet profile`: where each millisecond and each core of a running fleet goes, and which lever to pull first.

attach (the fleet that runs, or one of our own) → hear and threads (from outside, while it works) → steps (what threads
share, one step at a time on the fleet's own pictures and messages) → split (cores) and way (milliseconds) → levers
(words) → page and terminal. With `--sample`, `sampler` looks into every process at the end.

Nothing is switched on in the fleet for it: a profile is one more subscriber, and reads what the system counts anyway.
"""
