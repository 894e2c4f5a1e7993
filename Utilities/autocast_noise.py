"""How far PyTorch's autocast is from float64 on the three updates of Tests/Fixtures/training.

The yardstick for lower precision on devices (Tests/DVAETrainingTests/DeviceOracleTests.swift). Needs
torch, safetensors and, installed with `pip install --no-deps`, DALL-E 0.1 beside attrs and requests:

    python3 Utilities/autocast_noise.py
"""

import json
import math
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

import dall_e
import reference_model

FOLDER = pathlib.Path(__file__).parent.parent / "Tests/Fixtures/training"

reference_model.let_autocast_choose()
dall_e.Encoder.forward = dall_e.Decoder.forward = lambda self, x: self.blocks(x)


def distance(found, expected):
    """‖found − expected‖² and ‖expected‖²."""
    expected = expected.double()
    return (found.double() - expected).norm().item() ** 2, expected.norm().item() ** 2


def losses(x, logits, statistics):
    """Reconstruction and KL in nats."""
    mean, log_scale = statistics[:, :3], statistics[:, 3:]
    distances = (torch.logit(x) - mean).abs() * torch.exp(-log_scale)
    reconstruction = (math.log(2) + log_scale + torch.log(x * (1 - x)) + distances).mean()
    log_q = F.log_softmax(logits, 1)
    kl = (log_q.exp() * (log_q + math.log(logits.shape[1]))).sum(1).mean()
    return reconstruction, kl


def run(dtype, loss_scale):
    files = {
        name: load_file(FOLDER / f"{name}.safetensors")
        for name in ("initial", "gradients", "batch", "final")}
    steps = json.loads((FOLDER / "steps.json").read_text())["updates"]
    sizes = dict(n_hid=16, n_blk_per_group=1, vocab_size=128)
    encoder, decoder = dall_e.Encoder(**sizes), dall_e.Decoder(**sizes)
    parameters = {}
    for half, model in (("encoder", encoder), ("decoder", decoder)):
        for name, parameter in model.named_parameters():
            parameter.data.copy_(files["initial"][f"{half}.{name}"])
            parameters[f"{half}.{name}"] = parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(parameters.values(), lr=1e-4, weight_decay=1e-4)
    for at, step in enumerate(steps):
        x, u = files["batch"]["x"][at], files["batch"]["u"][at]
        with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
            logits = encoder(x).float()
            noisy = logits - torch.log(-torch.log(u))
            statistics = decoder(F.softmax(noisy / step["tau"], 1)).float()
        reconstruction, kl = losses(x, logits, statistics)
        optimizer.zero_grad()
        ((reconstruction + step["beta"] / 192 * kl) * loss_scale).backward()
        for parameter in parameters.values():
            parameter.grad /= loss_scale
        off = [
            abs(found.item() - step[name]) / abs(step[name])
            for found, name in ((reconstruction, "reconstruction"), (kl, "kl"))]
        print(f"  update {at}: reconstruction {off[0]:.1e}, KL {off[1]:.1e}")
        if at == 0:
            pairs = [distance(p.grad, files["gradients"][n]) for n, p in parameters.items()]
            worst = max(math.sqrt(a / b) for a, b in pairs)
            whole = math.sqrt(sum(a for a, _ in pairs) / sum(b for _, b in pairs))
            print(f"  gradients {whole:.1e} of their norm, the worst parameter's {worst:.1e}")
        for group in optimizer.param_groups:
            group["lr"] = step["lr"]
        optimizer.step()


if __name__ == "__main__":
    for dtype, loss_scale in ((None, 1), (torch.bfloat16, 1), (torch.float16, 4096)):
        print(dtype or "float32")
        run(dtype, loss_scale)
