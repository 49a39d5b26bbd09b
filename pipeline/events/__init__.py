"""The rules of a fleet at work: a subscriber in a process of its own, whose events go out with everything else.

It hears every frame (`client.inlet`), judges it (`rules`) and gives what happened to the publisher. What it remembers
is on disk, together with how far it has heard; when it is started again it asks the publisher for what it has missed,
frames and its own events alike. Judging the same frames from the same memory gives the same events under the same
names, and those that were published already are not published again. What was given to a publisher that died with it
is given to the next one (`unheard`). So no kill doubles or loses one.
"""
