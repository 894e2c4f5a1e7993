"""A training step beside the same step in PyTorch eager, in turns: one Markdown table.

    python Benchmarks/train_step.py [--dvae .build/release/dvae] [--rounds 5] [--cases ...]

The step is the paper's on both sides: Gumbel-softmax relaxation, logit-Laplace likelihood, KL from
the noiseless logits over 192, all gradients, AdamW, and the average of the parameters. A case is
n_hid:vocabulary:resolution:batch. Peak memory is that of the whole process.
"""

import argparse
import json
import math
import os
import sys
import time

from report import interleaved, machine, ratio, spread
from workers import Worker, run_and_measure, serve

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "Utilities"))

OURS, PEER = "swift-dvae", "PyTorch eager"


class Step:
    """One training step in PyTorch, on noise: its speed does not depend on the picture."""

    beta, temperature = 6.6, 0.5

    def __init__(self, n_hid, vocabulary, resolution, batch, threads):
        import reference_model as reference
        import torch

        torch.set_num_threads(threads)
        self.torch, self.vocabulary = torch, vocabulary
        self.encoder, self.decoder = reference.make_models(n_hid, vocabulary)
        self.parameters = [*self.encoder.parameters(), *self.decoder.parameters()]
        self.average = [p.detach().clone() for p in self.parameters]
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=1e-4, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-4)
        self.x = 0.1 + 0.8 * torch.rand(batch, 3, resolution, resolution)

    def loss(self):
        """Mean of −ln f over pixels and channels, plus β/192 of the mean KL over positions."""
        functional = self.torch.nn.functional
        logits = self.encoder(self.x)
        relaxed = functional.gumbel_softmax(logits, tau=self.temperature, dim=1)
        mu, ln_b = self.decoder(relaxed).chunk(2, dim=1)
        error = (self.torch.logit(self.x) - mu).abs() * self.torch.exp(-ln_b)
        likelihood = math.log(2) + ln_b + self.torch.log(self.x * (1 - self.x)) + error
        ln_q = functional.log_softmax(logits, dim=1)
        kl = (ln_q.exp() * (ln_q + math.log(self.vocabulary))).sum(1)
        return likelihood.mean() + self.beta / 192 * kl.mean()

    def answer(self, _):
        """Times one step, after one that does not count, as `dvae benchmark`: {"seconds"}."""
        self.step()
        start = time.perf_counter()
        self.step()
        return {"seconds": time.perf_counter() - start}

    def step(self):
        """One update of the parameters and their average."""
        self.optimizer.zero_grad(set_to_none=True)
        self.loss().backward()
        self.optimizer.step()
        with self.torch.no_grad():
            self.torch._foreach_lerp_(self.average, self.parameters, 1 - 0.999)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dvae", default=".build/release/dvae", help="our program")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--cases", default="64:8192:128:8,256:8192:256:1")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        case = map(int, options.worker.split(":"))
        return serve(Step(*case, threads=options.threads).answer)

    lines = [row for case in options.cases.split(",") for row in compare(options, case)]
    print(f"one training step, float32, {options.rounds} interleaved rounds; "
          f"{machine(options.threads)}\n")
    print("| n_hid, vocabulary, side, batch | runtime | median s/step | range | ours ÷ this "
          "| peak MB | ours ÷ this |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    print("\n".join(lines))


def compare(options, case):
    """The two rows of one case."""
    n_hid, vocabulary, resolution, batch = case.split(":")
    worker = Worker([sys.executable, __file__, "--worker", case,
                     "--threads", str(options.threads)], options.threads)
    peaks = {OURS: 0}

    def us():
        output, peak = run_and_measure(
            [options.dvae, "benchmark", "--what", "train", "--n-hid", n_hid,
             "--vocabulary", vocabulary, "--resolution", resolution, "--batch-size", batch,
             "--threads", str(options.threads), "--runs", "1", "--json"], options.threads)
        peaks[OURS] = max(peaks[OURS], peak)
        return json.loads(output)["median_seconds_per_step"]

    def peer():
        answer = worker.ask()
        if "error" in answer:
            sys.exit(f"{PEER}: {answer['error']}")
        return answer["seconds"]

    times = interleaved(options.rounds, {OURS: us, PEER: peer})
    peaks[PEER] = worker.close()
    return [
        f"| {', '.join(case.split(':'))} | {name} | {spread(times[name])} "
        f"| {ratio(times[OURS], times[name]):.2f} | {peaks[name] / 1e6:.0f} "
        f"| {peaks[OURS] / peaks[name]:.2f} |"
        for name in (OURS, PEER)
    ]


if __name__ == "__main__":
    sys.exit(main())
