"""The free `options:` of a model, read with names and types checked."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from pipeline.errors import DetectorError


class Options:
    """`model.options` as one backend understands them; a mistake is a `DetectorError` that names the option."""

    def __init__(self, values: Mapping[str, object], backend: str, *, allowed: Sequence[str]) -> None:
        self._values, self._backend = values, backend
        for name in values:
            if name not in allowed:
                close = difflib.get_close_matches(name, allowed, n=1)
                hint = f"did you mean {close[0]!r}? " if close else ""
                raise DetectorError(
                    f"model.options: backend {backend!r} has no option {name!r}; {hint}allowed: {', '.join(allowed)}"
                )

    def text(self, name: str, default: str) -> str:
        """The option as a text."""
        value = self._values.get(name, default)
        if not isinstance(value, str):
            raise DetectorError(f"model.options.{name}: found {value!r}; expected a text")
        return value

    def number(self, name: str, default: float) -> float:
        """The option as a number, not negative."""
        value = self._values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise DetectorError(f"model.options.{name}: found {value!r}; expected a number, 0 or more")
        return float(value)
