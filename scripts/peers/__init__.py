"""Parts of `bench_peers.py`: cameras that say when each frame left, and one consumer for each system compared.

`consume_*.py` run in other environments, so these, `blocks.py` and `window.py` use nothing but NumPy and the system
that they measure.
"""
