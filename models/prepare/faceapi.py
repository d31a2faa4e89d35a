"""The face recognition network of face-api, from its TensorFlow.js weights to ONNX.

In: the JSON list of tensors and the file of their values, as `@vladmandic/face-api` ships them. Out: an ONNX file
with input `input` [N,3,150,150] (RGB, 0 to 255) and output `embedding` [N,128]. The architecture is that of
`src/faceRecognitionNet/` in the package: dlib's ResNet-34.

    input 150 - conv 7x7/2 -> 72 - max-pool 3/2 -> 35 - 3 blocks of 32 -> 35 - down 64 -> 17 - 3 blocks -> 17
      - down 128 -> 8 - 2 blocks -> 8 - down 256 -> 4 - 2 blocks -> 4 - down 256 -> 2 - mean -> 256 - matrix -> 128

Every convolution is followed by a bias, a scale and another bias per channel; all three, and the input's mean and its
division by 255, are folded into the convolution's own weights and bias. The weights are written as float32. Kept as
uint8 the file has 6.5 MB instead of 22 MB but four times the nodes, takes 43 ms instead of 28 ms to load, and runs no
faster (3.1 and 3.0 ms a face; one thread, x86-64, ONNX Runtime 1.31).
"""

import json
import math

import numpy as np
import onnx
from onnx import TensorProto, helper

from problem import Problem

# Side of the square input, in pixels, and length of the embedding.
SIDE, LENGTH = 150, 128
# Subtracted from R, G and B, then everything is divided by 255 (`FaceRecognitionNet.ts`).
MEAN, DIVISOR = (122.782, 117.001, 104.298), 255.0
# ONNX 1.8: old enough for every runtime in use, new enough for `Pad` with its sizes as a tensor.
OPSET, IR_VERSION = 13, 7

# Name, channels, and whether the block halves the sides.
BLOCKS = [
    ("conv32_1", 32, False),
    ("conv32_2", 32, False),
    ("conv32_3", 32, False),
    ("conv64_down", 64, True),
    ("conv64_1", 64, False),
    ("conv64_2", 64, False),
    ("conv64_3", 64, False),
    ("conv128_down", 128, True),
    ("conv128_1", 128, False),
    ("conv128_2", 128, False),
    ("conv256_down", 256, True),
    ("conv256_1", 256, False),
    ("conv256_2", 256, False),
    ("conv256_down_out", 256, True),
]


def prepare(listed: bytes, values: bytes) -> bytes:
    """Builds the ONNX file from the list of tensors and their values."""
    net = Network(Weights(listed, values))
    x = net.convolution("input", "conv32_down", 7, 32, halves=True, scaled=True)
    x = net.relu(x)
    x = net.max_pool(x)
    for name, channels, halves in BLOCKS:
        x = net.block(x, name, channels, halves)
    net.head(x)
    graph = helper.make_graph(
        net.nodes,
        "face-api face recognition",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", LENGTH])],
        net.tensors,
    )
    # No version of ours: the same weights must give the same bytes in the next release too.
    model = helper.make_model(
        graph,
        producer_name="doorward",
        ir_version=IR_VERSION,
        opset_imports=[onnx.OperatorSetIdProto(version=OPSET)],
        doc_string="face recognition network of @vladmandic/face-api, MIT licence",
    )
    return model.SerializeToString(deterministic=True)


class Network:
    """The graph as far as it has been built, and the shape of its latest value."""

    def __init__(self, weights: "Weights"):
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self.side, self.channels = SIDE, 3

    def block(self, x: str, name: str, channels: int, halves: bool) -> str:
        """conv, ReLU, conv, plus the shortcut, ReLU. A block that halves averages its shortcut 2x2 and fills missing
        channels with zeros; where the convolutions give one row and column less, zeros go to the bottom and right."""
        inputs, side = self.channels, self.side
        branch = self.relu(self.convolution(x, f"{name}/conv1", 3, channels, halves))
        branch = self.convolution(branch, f"{name}/conv2", 3, channels, halves=False)
        shortcut = x
        if halves:
            shortcut = self.add("AveragePool", f"{name}/pool", [x], kernel_shape=[2, 2], strides=[2, 2])
            if channels > inputs:
                shortcut = self.pad(shortcut, f"{name}/fill", channels - inputs, 0)
            short = side // 2 - self.side
            if short > 0:
                branch = self.pad(branch, f"{name}/border", 0, short)
                self.side += short
        return self.relu(self.add("Add", f"{name}/add", [branch, shortcut]))

    def head(self, x: str) -> None:
        self.tensor("fc", self.weights.tensor("fc", [self.channels, LENGTH]))
        mean = self.add("GlobalAveragePool", "mean", [x])
        flat = self.add("Flatten", "flat", [mean])
        self.nodes.append(helper.make_node("MatMul", [flat, "fc"], ["embedding"], "fc/matrix"))

    def folded(self, name: str, kernel: int, outputs: int, scaled: bool) -> tuple[np.ndarray, np.ndarray]:
        """The weights as `[out][in][y][x]` and the bias of a convolution with its scale layer,
        `(conv(x) + bias) * scale + shift` per channel, and with `(x - mean) / 255` before it when `scaled`."""

        def tensor(part: str, shape: list[int]) -> np.ndarray:
            return self.weights.tensor(f"{name}/{part}", shape).astype(np.float64)

        filters = tensor("conv/filters", [kernel, kernel, self.channels, outputs])
        bias, scale = tensor("conv/bias", [outputs]), tensor("scale/weights", [outputs])
        # TensorFlow keeps `[y][x][in][out]`.
        weights = filters.transpose(3, 2, 0, 1) * scale[:, None, None, None]
        bias = bias * scale + tensor("scale/biases", [outputs])
        if scaled:
            # This convolution has no border, so the mean is the same everywhere.
            weights = weights / DIVISOR
            # Summed exactly: numpy's sums differ in their last digit from processor to processor, as would the bytes.
            means = weights * np.array(MEAN)[None, :, None, None]
            bias = bias - np.array([math.fsum(channel.ravel()) for channel in means])
        return weights, bias

    def convolution(self, x: str, name: str, kernel: int, outputs: int, halves: bool, scaled: bool = False) -> str:
        """With a border of zeros the sides stay; a step of 2 has no border."""
        weights, bias = self.folded(name, kernel, outputs, scaled)
        step, border = (2, 0) if halves else (1, kernel // 2)
        self.tensor(f"{name}/weights", weights)
        self.tensor(f"{name}/bias", bias)
        self.side = (self.side + 2 * border - kernel) // step + 1
        self.channels = outputs
        inputs = [x, f"{name}/weights", f"{name}/bias"]
        return self.add("Conv", name, inputs, kernel_shape=[kernel] * 2, strides=[step] * 2, pads=[border] * 4)

    def max_pool(self, x: str) -> str:
        self.side = (self.side - 3) // 2 + 1
        return self.add("MaxPool", "max_pool", [x], kernel_shape=[3, 3], strides=[2, 2])

    def relu(self, x: str) -> str:
        return self.add("Relu", f"{x}/relu", [x])

    def pad(self, x: str, name: str, channels: int, border: int) -> str:
        """Appends zeros: channels at the end, rows at the bottom, columns at the right."""
        sizes = np.array([0, 0, 0, 0, 0, channels, border, border], np.int64)
        self.tensors.append(onnx.numpy_helper.from_array(sizes, f"{name}/sizes"))
        return self.add("Pad", name, [x, f"{name}/sizes"])

    def tensor(self, name: str, values: np.ndarray) -> None:
        self.tensors.append(onnx.numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))

    def add(self, operator: str, name: str, inputs: list[str], **attributes) -> str:
        """Adds a node whose output bears its name."""
        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name


class Weights:
    """The tensors of the two files by name."""

    def __init__(self, listed: bytes, values: bytes):
        self.values = values
        self.places: dict[str, tuple[dict, int, int]] = {}
        end = 0
        try:
            tensors = [tensor for group in json.loads(listed) for tensor in group["weights"]]
            for tensor in tensors:
                name, start = tensor["name"], end
                end = start + math.prod(tensor["shape"]) * size_of(tensor)
                if end > len(values):
                    raise wrong(f"tensor `{name}` ends at byte {end}, the file of values has {len(values)}")
                if name in self.places:
                    raise wrong(f"tensor `{name}` is listed twice")
                self.places[name] = (tensor, start, end)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise wrong(f"the list of tensors cannot be read ({error!r})") from error
        if end != len(values):
            raise wrong(f"the list describes {end} bytes of values, the file has {len(values)}")

    def tensor(self, name: str, shape: list[int]) -> np.ndarray:
        """The values of a tensor as float32, all finite."""
        if name not in self.places:
            raise wrong(f"there is no tensor `{name}`")
        tensor, start, end = self.places[name]
        if tensor["shape"] != shape:
            raise wrong(f"tensor `{name}` has the shape {tensor['shape']} instead of {shape}")
        quantization = tensor.get("quantization")
        with np.errstate(over="ignore"):
            if quantization is None:
                values = np.frombuffer(self.values[start:end], "<f4")
            else:
                # As TensorFlow.js does it: in double precision, then rounded once.
                bytes_ = np.frombuffer(self.values[start:end], np.uint8).astype(np.float64)
                values = (bytes_ * quantization["scale"] + quantization["min"]).astype(np.float32)
        if not np.isfinite(values).all():
            raise wrong(f"tensor `{name}` holds a value that is no number")
        return values.reshape(shape)


def size_of(tensor: dict) -> int:
    """The bytes of one value of a listed tensor."""
    name, quantization = tensor["name"], tensor.get("quantization")
    if tensor["dtype"] != "float32":
        raise wrong(f"tensor `{name}` is not float32")
    if not all(isinstance(side, int) and side >= 0 for side in tensor["shape"]):
        raise wrong(f"tensor `{name}` has a shape that is none")
    if quantization is None:
        return 4
    numbers = (quantization["scale"], quantization["min"])
    if quantization["dtype"] != "uint8" or not all(isinstance(n, (int, float)) and math.isfinite(n) for n in numbers):
        raise wrong(f"tensor `{name}` is quantised in an unknown way")
    return 1


def wrong(problem: str) -> Problem:
    return Problem(f"cannot prepare the face-api network: {problem}")
