"""Parts of `bench_ladder.py`: one model at several input sizes, played over the samples at the same device time.

`views.py` is what is seen at each size, `costs.py` what that takes, `ways.py` who decides on sizes, `play.py` the
cameras played, `judge.py` the scores.
"""
