"""The page of a fleet: live pictures with their boxes, figures and trouble, in any browser.

It is a member of the fleet and an ordinary subscriber: it may stall or die and costs no camera anything. Pictures reach
it from the cameras' own sockets (`pipeline.viewing`), and only while a browser shows them. No picture is decoded or
encoded here: a browser gets the camera's coded pictures as they came, or stills where it cannot play those.
"""
