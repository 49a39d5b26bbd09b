"""Bytes from strangers into everything here that reads them; `targets` says into what, `corpus/` has the first ones.

Every target may refuse with one of `pipeline.errors` and with nothing else, within `limits`. Two engines feed them:
`drawn` (edits of the corpus by chance, the same for the same seed) in `make test`, and besides it Atheris (libFuzzer,
led by the code that is reached) in `make fuzz`. A case that broke something becomes a file of the corpus, which every
run tries first.
"""
