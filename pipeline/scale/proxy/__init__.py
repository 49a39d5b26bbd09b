"""The proxy: one endpoint for subscribers of a fleet whose shards are on several machines.

    shard × any ─ XPUB ─▶ XSUB for each │ XPUB at `publish.bind`, `json_bind`, each limit ─▶ SUB × any  subscribers
    front       ─ PUSH ─▶ PULL: orders  │ XPUB and REP inside the run                      ─▶ the front's sinks and page

Messages pass as they came, with the numbers of the shard's publisher: nothing is decoded, and who hears two proxies
knows by its number what comes twice. Only `fleet/`, which every shard says of its own cameras, is made here, one for
all (`whole`), with numbers that are the same at every proxy. Which shard is heard for a camera that moves is decided
here, too (`voices`): the old one until boxes come from the new one.

A proxy remembers nothing that it could not hear again. What bounds strangers, keys and newcomers at the publisher of a
single machine does so here: the sockets are the same (`pipeline.relay.outlet`, `guard`).
"""
