"""The peers: each one encodes mapped pixels to tokens and decodes tokens, as fast as it can.

Every peer gets what suits it: all its graph optimisations, float32 as we compute, the argmax inside
its graph where it has one, and its one-hot input ready-made before the clock starts.
"""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "Utilities"))

import numpy as np  # noqa: E402
import torch  # noqa: E402

import reference_model as reference  # noqa: E402


class Tokens(torch.nn.Module):
    """The encoder and the argmax over its logits."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, x):
        return self.encoder(x).argmax(1)


class Eager:
    """PyTorch as it comes."""

    def __init__(self, folder, threads):
        torch.set_num_threads(threads)
        load = lambda name: torch.load(os.path.join(folder, name), weights_only=False).eval()
        self.encoder, self.decoder = Tokens(load("encoder.pkl")), load("decoder.pkl")

    def prepare(self, what, array):
        """A function without arguments that does the work once and returns an array."""
        x = torch.from_numpy(array)
        model = self.encoder if what == "encode" else self.decoder

        def run():
            with torch.inference_mode():
                return model(x).numpy()

        return run


class Compiled(Eager):
    """torch.compile with frozen weights."""

    def __init__(self, folder, threads):
        import torch._inductor.config as inductor

        inductor.freezing = True
        super().__init__(folder, threads)
        self.encoder = torch.compile(self.encoder)
        self.decoder = torch.compile(self.decoder)

    def prepare(self, what, array):
        x = torch.from_numpy(array)
        model = self.encoder if what == "encode" else self.decoder

        def run():
            with torch.no_grad():
                return model(x).numpy()

        return run


def export(folder, what, array):
    """The network as ONNX, beside its weights; written once for each batch size."""
    path = os.path.join(folder, f"{what}.{len(array)}.onnx")
    if not os.path.exists(path):
        eager = Eager(folder, torch.get_num_threads())
        model = eager.encoder if what == "encode" else eager.decoder
        with torch.no_grad():
            torch.onnx.export(
                model, (torch.from_numpy(array),), path + ".part", dynamo=False,
                input_names=["x"], output_names=["y"])
        os.replace(path + ".part", path)
    return path


class OnnxRuntime:
    """ONNX Runtime's CPU provider with all graph optimisations."""

    def __init__(self, folder, threads):
        import onnxruntime

        self.folder, self.runtime = folder, onnxruntime
        self.options = onnxruntime.SessionOptions()
        self.options.intra_op_num_threads = threads
        self.options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL

    def prepare(self, what, array):
        session = self.runtime.InferenceSession(
            export(self.folder, what, array), self.options, providers=["CPUExecutionProvider"])
        return lambda: session.run(None, {"x": array})[0]


class OpenVINO:
    """OpenVINO's CPU plugin, for latency, held to float32."""

    def __init__(self, folder, threads):
        import openvino

        self.folder, self.core = folder, openvino.Core()
        self.settings = {
            "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32"}

    def prepare(self, what, array):
        model = self.core.compile_model(export(self.folder, what, array), "CPU", self.settings)
        return lambda: next(iter(model([array]).values()))


RUNTIMES = {
    "ONNX Runtime": OnnxRuntime,
    "OpenVINO": OpenVINO,
    "torch.compile, frozen": Compiled,
    "PyTorch eager": Eager,
}


class Bench:
    """One runtime's answers to the driver: the work is prepared once and kept."""

    def __init__(self, name, folder, photo, threads):
        self.runtime, self.photo = RUNTIMES[name](folder, threads), photo
        self.folder, self.key, self.run = folder, None, None

    def answer(self, request):
        """Prepares or times; {"seconds"} of one run, {"tokens"} of the encoder's last result."""
        key = (request["what"], request["batch"])
        if key != self.key:
            self.run = None
            self.run = self.runtime.prepare(key[0], self.input(*key))
            self.key = key
        # As in `dvae benchmark --runs 1`, one run comes before the one that counts.
        self.run()
        start = time.perf_counter()
        result = self.run()
        seconds = time.perf_counter() - start
        if key[0] == "decode":
            return {"seconds": seconds}
        return {"seconds": seconds, "tokens": np.asarray(result)[0].astype(int).ravel().tolist()}

    def input(self, what, batch):
        """The photo's mapped pixels, or the one-hot input of the decoder, `batch` times."""
        if what == "encode":
            x = reference.preprocess(self.photo)
        else:
            tokens = torch.from_numpy(np.load(os.path.join(self.folder, "tokens.npy"))).long()
            decoder = torch.load(os.path.join(self.folder, "decoder.pkl"), weights_only=False)
            x = reference.one_hot(tokens[:1], decoder.vocab_size)
        return np.ascontiguousarray(np.repeat(x.numpy(), batch, axis=0))
