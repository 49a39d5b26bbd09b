"""A shard in a process of its own, which a test may put into a network of its own: begins when told, ends with stdin.

python -m tests.cut_shard SPEC       # a pickled `ShardSpec`; prints its pid, waits for a line, prints the endpoint
"""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

from pipeline.scale.shard import Shard


def main() -> None:
    print(os.getpid(), flush=True)
    sys.stdin.readline()
    shard = Shard()
    try:
        print(shard.begin(pickle.loads(Path(sys.argv[1]).read_bytes())).endpoint, flush=True)
        sys.stdin.read()
    finally:
        shard.end()


if __name__ == "__main__":
    main()
