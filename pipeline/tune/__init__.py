"""The best settings for this machine, found by real runs over recordings and kept by hardware.

`search` goes through the levers in order of leverage and decides by `contest`, which never believes a single run;
`runs` makes the runs and `journal` keeps them, so that a search that was interrupted goes on. `profile` writes what was
found, and `use` lets `camfleet run` take it on the same hardware (`fingerprint`).
"""
