"""The publisher: a process between the workers and whoever subscribes.

    worker × n  ─ PUSH ─▶ PULL at an inbox of the run │ XPUB at `publish.bind` ─▶ SUB × any  subscribers
                                                      │ XPUB at each limit    ─▶ SUB × any  those who hear some cameras
                                                      │ XPUB inside the run   ─▶ SUB       the fleet's own members
                                                      │ REP inside the run    ─▶ REQ       what a member has missed

Strangers reach this process and no other: what they send costs the workers nothing. Where the fleet file names keys,
only they come in (`guard`); who hears what is decided by the socket that a key opens (`audience`). Subscribers stay
connected when a worker is started again. Messages are numbered here, the newest of each topic is repeated for whoever
subscribes later, and once a second the fleet is told how it is (`overview`). Beyond a short history for the fleet's own
members nothing is kept: a subscriber that does not read loses messages beyond its queue, and nobody waits for it.
"""
