"""A fleet of up to 100,000 cameras in simulated time: a day of it, a part of it lost, and what breaks first.

What is real: the worker's core, run frame by frame for one shard at a range of loads (`table`), the placement
(`pipeline.scale.place`) and the policy of scaling (`pipeline.scale.headroom`), which decide here as they do there. What
is arithmetic: shards are drawn from that table, since 100,000 cameras frame by frame would take days; messages cost
what was measured for one and for a byte (`measured`).
"""
