"""Results drawn on the recording they belong to: read, chosen, matched by time, and encoded."""

from pipeline.film import SUFFIXES
from pipeline.render.kept import Kept, open_kept
from pipeline.render.play import Rendered, Request, render
from pipeline.render.read import read_results

__all__ = ["SUFFIXES", "Kept", "Rendered", "Request", "open_kept", "read_results", "render"]
