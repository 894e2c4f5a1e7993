"""The peers that encode and decode: each is a class with `convert` and `load`, and listed at the end.

Every peer gets what suits it: all its graph optimisations, the argmax inside its graph where it has
one, and its one-hot input ready-made before the clock starts. Libraries are imported where they are
used: a script that needs one of them pays for that one alone.

A worker of `make bench` is `python runtimes.py NAME FOLDER WHAT BATCH THREADS OUTPUT`.
"""

import os
import pathlib
import subprocess
import sys

import numpy as np

import photos
from contenders import Failed, check_bfloat16, serve

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "Utilities"))
PHOTOS = sorted((ROOT / "Examples/photos").glob("*.png"))
PHOTO = PHOTOS[-1]


class Runtime:
    """One way to compute the network whose pickles are in `folder`."""

    distribution, title, mode = "torch", "PyTorch", ""

    def __init__(self, folder="", threads=1):
        self.folder, self.threads = pathlib.Path(folder), threads

    def convert(self, what, batch):
        """The path of the network as this runtime reads it; `batch` images at a time."""
        raise NotImplementedError

    def load(self, what, path, x):
        """A function without arguments that computes `x` once: tokens, or the decoder's output."""
        raise NotImplementedError

    def once(self, path, make):
        """`path`, written by `make(part)` unless an earlier peer has done so."""
        if not path.exists():
            part = path.with_name("part-" + path.name)
            make(part)
            part.rename(path)
        return path

    def onnx(self, what, batch):
        """The network as ONNX, beside its weights."""
        def make(path):
            import torch

            x = torch.from_numpy(example(self.folder, what, batch))
            with torch.no_grad():
                torch.onnx.export(module(self.folder / f"{what}r.pkl", what), (x,), str(path),
                                  dynamo=False, input_names=["x"], output_names=["y"])

        return self.once(self.folder / f"{what}.{batch}.onnx", make)


def module(path, what):
    """The PyTorch module; the encoder's ends in the argmax over its logits."""
    import torch

    class Tokens(torch.nn.Module):
        def __init__(self, encoder):
            super().__init__()
            self.encoder = encoder

        def forward(self, x):
            return self.encoder(x).argmax(1)

    network = torch.load(path, weights_only=False).eval()
    return Tokens(network) if what == "encode" else network


def example(folder, what, batch):
    """The input: a photo, or the one-hot tensor of its tokens, `batch` times."""
    if what == "encode":
        x = photos.load(PHOTO)[None]
    else:
        tokens = np.load(folder / "tokens.npy").reshape(1, 1, 32, 32)
        vocabulary = int((folder / "vocabulary").read_text())
        x = (tokens == np.arange(vocabulary).reshape(1, -1, 1, 1)).astype(np.float32)
    return np.ascontiguousarray(np.repeat(x, batch, axis=0))


class Eager(Runtime):
    """PyTorch as it comes."""

    mode = "eager"

    def convert(self, what, batch):
        return self.folder / f"{what}r.pkl"

    def network(self, what, path):
        return module(path, what)

    def load(self, what, path, x):
        import torch

        torch.set_num_threads(self.threads)
        model, x = self.network(what, path), torch.from_numpy(x)

        def run():
            with torch.no_grad():
                return model(x).numpy()

        return run


class Compiled(Eager):
    mode = "torch.compile, frozen"

    def network(self, what, path):
        import torch
        import torch._inductor.config

        torch._inductor.config.freezing = True
        return torch.compile(module(path, what))


class EagerBfloat16(Eager):
    """Autocast with channels last, the layout that oneDNN's bfloat16 convolutions prefer."""

    mode = "bfloat16"

    def network(self, what, path):
        import reference_model
        import torch

        reference_model.let_autocast_choose()
        return module(path, what).to(memory_format=torch.channels_last)

    def load(self, what, path, x):
        import torch

        check_bfloat16()
        run = super().load(what, path, x)

        def lower():
            with torch.autocast("cpu", torch.bfloat16):
                return run()

        return lower


class OnnxRuntime(Runtime):
    """The CPU provider with all graph optimisations."""

    distribution, title = "onnxruntime", "ONNX Runtime"

    def convert(self, what, batch):
        return self.onnx(what, batch)

    def load(self, what, path, x):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"])
        return lambda: session.run(None, {"x": x})[0]


class OnnxRuntimeInt8(OnnxRuntime):
    """Static quantisation, calibrated on the example photos."""

    mode = "int8"

    def convert(self, what, batch):
        from onnxruntime import quantization
        from report import cpuinfo

        class Calibration(quantization.CalibrationDataReader):
            inputs = iter([{"x": photos.load(path)[None]} for path in PHOTOS])

            def get_next(self):
                return next(self.inputs, None)

        def make(path):
            # Without VNNI, two products can overflow 16 bits; 7-bit weights prevent it.
            quantization.quantize_static(
                self.onnx(what, batch), path, Calibration(), per_channel=True,
                reduce_range="vnni" not in cpuinfo().get("flags", "vnni"))

        return self.once(self.folder / f"{what}.{batch}.int8.onnx", make)


class OpenVINO(Runtime):
    """The CPU plugin for latency, held to float32."""

    distribution, title, precision = "openvino", "OpenVINO", "f32"

    def convert(self, what, batch):
        return self.onnx(what, batch)

    def load(self, what, path, x):
        import openvino

        core = openvino.Core()
        model = core.compile_model(core.read_model(path), "CPU", {
            "INFERENCE_NUM_THREADS": self.threads, "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": self.precision})
        used = model.get_property("INFERENCE_PRECISION_HINT").to_string()
        if used != self.precision:
            raise Failed(f"on this processor it computes in {used} instead")
        return lambda: next(iter(model([x]).values()))


class OpenVINOBfloat16(OpenVINO):
    mode, precision = "bfloat16", "bf16"


class OpenVINOInt8(OpenVINO):
    """nncf's default quantisation, calibrated on the example photos."""

    mode = "int8 by nncf"

    def convert(self, what, batch):
        import nncf
        import openvino

        def make(folder):
            folder.mkdir(exist_ok=True)
            model = openvino.Core().read_model(self.onnx(what, batch))
            data = nncf.Dataset([photos.load(path)[None] for path in PHOTOS])
            openvino.save_model(
                nncf.quantize(model, data), folder / "network.xml", compress_to_fp16=False)

        return self.once(self.folder / f"{what}.{batch}.openvino", make) / "network.xml"


class Mnn(Runtime):
    distribution, title = "MNN", "MNN"

    def convert(self, what, batch):
        def make(path):
            # The program `mnnconvert` installs a logging package by pip and reports its use to MNN's
            # authors; the function behind it does neither.
            code = "import sys, MNN, _tools; _tools.mnnconvert(sys.argv)"
            subprocess.run([sys.executable, "-c", code, "-f", "ONNX", "--bizCode", "dvae", "--modelFile",
                            self.onnx(what, batch), "--MNNModel", path], check=True)

        return self.once(self.folder / f"{what}.{batch}.mnn", make)

    def load(self, what, path, x):
        import MNN.expr
        import MNN.nn

        runtime = MNN.nn.create_runtime_manager(
            ({"backend": 0, "precision": "high", "numThread": self.threads},))
        network = MNN.nn.load_module_from_file(
            str(path), ["x"], ["y"], runtime_manager=runtime)
        x = MNN.expr.const(x, list(x.shape), MNN.expr.NCHW)
        return lambda: np.array(network.forward(x).read())


class Ncnn(Runtime):
    """ncnn, by way of pnnx. It has no argmax over channels and no batches: numpy and a loop do both."""

    distribution, title = "ncnn", "ncnn"

    def convert(self, what, batch):
        def make(folder):
            import pnnx
            import torch

            folder.mkdir(exist_ok=True)
            network = torch.load(self.folder / f"{what}r.pkl", weights_only=False).eval()
            x = torch.from_numpy(example(self.folder, what, 1))
            pnnx.export(network, str(folder / "network.pt"), x, check_trace=False, fp16=False)

        return self.once(self.folder / f"{what}.ncnn", make)

    def load(self, what, path, x):
        import ncnn

        network = ncnn.Net()
        network.opt.num_threads = self.threads
        network.opt.use_fp16_packed = network.opt.use_fp16_storage = False
        network.opt.use_fp16_arithmetic = False
        network.load_param(os.path.join(path, "network.ncnn.param"))
        network.load_model(os.path.join(path, "network.ncnn.bin"))
        inputs = [ncnn.Mat(image).clone() for image in x]

        def infer(image):
            with network.create_extractor() as extractor:
                extractor.input("in0", image)
                output = np.array(extractor.extract("out0")[1])
            return output.argmax(0) if what == "encode" else output

        return lambda: np.stack([infer(image) for image in inputs])


FLOAT32 = [Mnn, Ncnn, OnnxRuntime, OpenVINO, Compiled, Eager]
LOWER_PRECISION = [OnnxRuntimeInt8, OpenVINOInt8, OpenVINOBfloat16, EagerBfloat16]
RUNTIMES = {runtime.__name__: runtime for runtime in FLOAT32 + LOWER_PRECISION}


if __name__ == "__main__":
    name, folder, what, batch, threads, output = sys.argv[1:]
    runtime = RUNTIMES[name](folder, int(threads))

    def prepare():
        x = example(runtime.folder, what, int(batch))
        return runtime.load(what, runtime.convert(what, int(batch)), x)

    serve(prepare, output)
