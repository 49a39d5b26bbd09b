"""A dear model: a network that computes another one several times, and tells what that one tells.

A larger model of what the samples show would have to be trained first. Where a heavy one is measured beside others,
what matters is what it costs: so these are the same boxes, later.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import openvino as ov
from openvino import opset13 as ops

NOTHING, DARKER = 1e-30, 1e-3
"""What the copies' outputs count for, and by how much each sees a darker picture, or they would be computed once."""


def dear_model(model: Path, times: int, out: Path) -> Path:
    """The folder of a model that takes `times` as long as this one, made in the folder `out`.

    Args:
        model: An OpenVINO model's folder, of one input and one output, both float32.
        times: How often its network is computed.
        out: Where the folder is made; one that is there is used again.
    """
    folder = out / f"{model.name.removesuffix('_openvino_model')}-{times}-times_openvino_model"
    if folder.exists():
        return folder
    file = next(model.glob("*.xml"))
    network = ov.Core().read_model(file)
    picture, told = network.get_parameters()[0], network.get_results()[0]
    everything = told.input_value(0)
    for copy in range(1, times):
        again = network.clone()
        darker = ops.multiply(picture, ops.constant(1.0 - copy * DARKER, ov.Type.f32))
        again.get_parameters()[0].output(0).replace(darker.output(0))
        nothing = ops.multiply(again.get_results()[0].input_value(0), ops.constant(NOTHING, ov.Type.f32))
        everything = ops.add(everything, nothing).output(0)
    names = told.output(0).get_names()
    dear = ov.Model([ops.result(everything)], [picture], network.get_friendly_name())
    dear.output(0).set_names(names)
    for name, value in network.get_rt_info().items():
        dear.set_rt_info(value, name)
    shutil.copytree(model, folder, ignore=shutil.ignore_patterns("*.xml", "*.bin"))
    ov.save_model(dear, folder / file.name, compress_to_fp16=False)
    return folder
