"""Levers: what a smaller input, fewer bits or another model bring on this machine, and what they cost in accuracy.

pictures → make (another form of a model) → accuracy, speed → board (arithmetic) → text, page.
"""
