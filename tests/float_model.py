"""The sample model in floats: its 8-bit weights written out, its activations no longer rounded.

A real, trained float model, as users bring them; what 8 bits had lost stays lost, so it is as good as the one it is of.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino.passes import ConstantFolding, Manager

SAMPLE = Path(__file__).parents[1] / "samples" / "model" / "demo_openvino_model"


def write_float_model(folder: Path) -> Path:
    """The folder of the sample model in 32-bit floats."""
    network = ov.Core().read_model(SAMPLE / "demo.xml")
    for op in network.get_ordered_ops():
        if op.get_type_name() == "FakeQuantize":
            _replace(op, op.input_value(0))
        elif op.get_type_name() == "Convert" and op.input_value(0).get_node().get_type_name() == "Constant":
            constant = op.input_value(0).get_node()
            _replace(op, ov.opset13.constant(constant.data.astype(np.float32)).output(0))
    passes = Manager()
    passes.register_pass(ConstantFolding())
    passes.run_passes(network)
    for number, op in enumerate(network.get_ordered_ops()):
        if op.get_type_name() == "Constant":
            # Their names are those that NNCF gave them, and gives again.
            op.set_friendly_name(f"constant_{number}")
    made = folder / "demo-float_openvino_model"
    made.mkdir(parents=True)
    ov.save_model(network, made / "demo-float.xml", compress_to_fp16=False)
    shutil.copyfile(SAMPLE / "metadata.yaml", made / "metadata.yaml")
    return made


def _replace(op: Any, source: Any) -> None:
    for place in op.output(0).get_target_inputs():
        place.replace_source_output(source)
