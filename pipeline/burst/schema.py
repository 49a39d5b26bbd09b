"""The JSON Schema of scenarios, so that editors complete and check them."""

from __future__ import annotations

from functools import cache
from typing import Any

from pipeline.burst.scenario import Scenario
from pipeline.config.schema import DIALECT, spelled


@cache
def scenario_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a scenario file, with a description for every key.

    It is made once, as that takes longer than reading a file; nobody changes it.
    """
    schema = spelled(Scenario.model_json_schema())
    # The file's own name stands for it.
    schema["required"].remove("name")
    return {"$schema": DIALECT, **schema, "title": "camfleet scenario"}
