"""Parts that users write: found by the name `package.module:function`, and looked at before they are used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import Any

from pipeline.errors import PipelineError


class PluginError(PipelineError):
    """A plug-in cannot be found, or is not what it should be; its caller says where it was named."""


def function_at(name: str) -> Callable[..., Any]:
    """What stands at `package.module:function`, imported now.

    Raises:
        PluginError: The module cannot be imported, or has no such function.
    """
    module_name, _, function_name = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a module of the user's may raise anything when it is imported
        raise PluginError(
            f"cannot import {module_name!r}: {error}; is it installed, or its folder in PYTHONPATH?"
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        found = "is not callable" if hasattr(module, function_name) else "does not exist"
        raise PluginError(f"{function_name!r} {found} in {module_name!r} ({module.__file__})")
    return function  # type: ignore[no-any-return]


def require_members(made: object, members: Iterable[str], name: str, protocol: str) -> None:
    """Check that what the function `name` made has all `members` of `protocol`.

    Raises:
        PluginError: Some are missing.
    """
    if missing := [member for member in members if not hasattr(made, member)]:
        raise PluginError(f"what {name} made has no {', '.join(missing)}; see {protocol}")
