"""Pictures to a Triton Inference Server and its answers back: `load` opens a model there.

`servers` says which server is asked, `connect` and `client` talk with it, `memory` and `regions` hand it pictures,
`lane` keeps one request in flight. `repository` writes a model for a server, with `python_model` for those without
OpenVINO's backend; `config` says how a server is to run it.
"""
