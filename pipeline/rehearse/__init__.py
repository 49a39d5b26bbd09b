"""Two fleet files over the same recordings, as answers whether last Tuesday would have been caught with the other one.

`cast` says which recording each camera shows, `sides` makes of both files what may run here: no sink, no page, no
webhook hears of it. `play` serves the recordings as RTSP cameras and runs one file's fleet on them, A B A B, while
`hear` listens to all that it publishes, events too. `yardstick` knows what should have been seen. `catalogue` puts
everybody's events side by side, `score` makes the figures, `expect` judges them, `assemble` the report, and `page`
one HTML file of it.

Only `play` knows of processes; all that comes after it is arithmetic.
"""
