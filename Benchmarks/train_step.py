"""The peers of a training step, each in a worker: train_step.py N_HID:VOCABULARY:SIDE:BATCH PEER THREADS

The step is the paper's: Gumbel-softmax relaxation, logit-Laplace likelihood, KL from the noiseless
logits over 192, all gradients, AdamW, and the average of the parameters. The picture is noise: the
speed does not depend on it.
"""

import math
import os
import sys

from contenders import check_bfloat16, serve

# Arguments of `Step`, by their names in the table.
PEERS = {
    "torch.compile, channels last": {"compiled": True},
    "torch.compile, channels last, bfloat16": {"compiled": True, "bfloat16": True},
    "eager": {},
}


class Step:
    """One training step in PyTorch."""

    beta, temperature = 6.6, 0.5

    def __init__(self, case, threads, compiled=False, bfloat16=False, device="cpu"):
        sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "Utilities"))
        import reference_model
        import torch

        torch.set_num_threads(threads)
        if bfloat16:
            reference_model.let_autocast_choose()
        n_hid, self.vocabulary, side, batch = map(int, case.split(":"))
        layout = torch.channels_last if compiled else torch.contiguous_format
        self.torch, self.bfloat16, self.device = torch, bfloat16, device
        self.encoder, self.decoder = (
            model.to(device, memory_format=layout)
            for model in reference_model.make_models(n_hid, self.vocabulary))
        self.parameters = [*self.encoder.parameters(), *self.decoder.parameters()]
        self.average = [p.detach().clone() for p in self.parameters]
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=1e-4, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-4,
            fused=device == "cuda" or None)
        x = 0.1 + 0.8 * torch.rand(batch, 3, side, side)
        self.x = x.to(device, memory_format=layout)
        if compiled:
            self.loss = torch.compile(self.loss)

    def loss(self):
        """Mean of −ln f over pixels and channels, plus β/192 of the mean KL over positions."""
        functional, autocast = self.torch.nn.functional, self.torch.autocast
        with autocast(self.device, self.torch.bfloat16, enabled=self.bfloat16):
            logits = self.encoder(self.x)
        relaxed = functional.gumbel_softmax(logits.float(), tau=self.temperature, dim=1)
        with autocast(self.device, self.torch.bfloat16, enabled=self.bfloat16):
            mu, ln_b = self.decoder(relaxed).float().chunk(2, dim=1)
        error = (self.torch.logit(self.x) - mu).abs() * self.torch.exp(-ln_b)
        likelihood = math.log(2) + ln_b + self.torch.log(self.x * (1 - self.x)) + error
        ln_q = functional.log_softmax(logits.float(), dim=1)
        kl = (ln_q.exp() * (ln_q + math.log(self.vocabulary))).sum(1)
        return likelihood.mean() + self.beta / 192 * kl.mean()

    def run(self):
        """One update of the parameters and their average."""
        self.optimizer.zero_grad(set_to_none=True)
        self.loss().backward()
        self.optimizer.step()
        with self.torch.no_grad():
            self.torch._foreach_lerp_(self.average, self.parameters, 1 - 0.999)


def prepare(case, peer, threads):
    if PEERS[peer].get("bfloat16"):
        check_bfloat16()
    return Step(case, int(threads), **PEERS[peer]).run


if __name__ == "__main__":
    serve(lambda: prepare(*sys.argv[1:4]), output="")
