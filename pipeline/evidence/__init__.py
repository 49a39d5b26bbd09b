"""What is kept of events: a clip, the best picture, and a file that tells what they show; in a process of its own.

It looks at each camera that has rules as the page does: the coded pictures as they came, of the second stream where the
camera has one (`pipeline.viewing`), and keeps the latest seconds in memory (`tape`). It hears events and frames as
everybody does. An event opens a case (`case`), whose clip is written as the pictures come (`clip`); at its end the
picture that shows its object best is taken from it (`snapshot`), and it is told (`wire.evidence`).

Where the camera's privacy covers anything, the pictures of a case stay in memory until its end, and are covered before
anything of them is written (`coverer`). Nothing here can cost a camera a frame or hold up the judging of rules: what is
too slow here loses pictures here.
"""
