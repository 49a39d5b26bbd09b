"""The burst lab: recordings as cameras, faults on demand, a verdict at the end.

scenario → plan → run (servers, fleet, listener, sampler) → figures → judge → report.json → report.html. The fleet and
the servers run in processes of their own; the listener is a subscriber like any other.
"""
