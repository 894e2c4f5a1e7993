#!/usr/bin/env python3
"""Learns a small GPT on tokens of 'dvae tokenize' and draws new pictures' tokens from it.

    dvae tokenize photos/ --output tokens.npy --resolution 128
    python generate.py tokens.npy --output new.npy
    dvae decode new.npy --output pictures

Needs PyTorch and NumPy; docs/generate.md explains each step.
"""

import argparse
import json
import math
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    """Causal self-attention, then a perceptron at each position."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.perceptron = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        n, length, width = x.shape
        qkv = self.qkv(self.norm_1(x)).view(n, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).reshape(n, length, width))
        return x + self.perceptron(self.norm_2(x))


class GPT(nn.Module):
    def __init__(self, vocabulary, rows, columns, width, layers, heads=4):
        super().__init__()
        self.begin = vocabulary  # one more input than outputs: nothing came before
        self.rows, self.columns = rows, columns
        self.tokens = nn.Embedding(vocabulary + 1, width)
        self.row, self.column = nn.Embedding(rows, width), nn.Embedding(columns, width)
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.logits = nn.Linear(width, vocabulary)
        for table in (self.tokens, self.row, self.column):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, x):
        """Tokens [n, length], the first of them `begin`, to logits of what comes at each position."""
        at = torch.arange(x.shape[1])
        place = self.row(at // self.columns) + self.column(at % self.columns)
        return self.logits(self.norm(self.blocks(self.tokens(x) + place)))

    def shifted(self, sequences):
        """The token before each position, which the model sees there."""
        begin = torch.full_like(sequences[:, :1], self.begin)
        return torch.cat([begin, sequences[:, :-1]], dim=1)

    @torch.no_grad()
    def sample(self, count, temperature, top_k):
        x = torch.full((count, 1), self.begin)
        for _ in range(self.rows * self.columns):
            logits = self(x)[:, -1] / temperature
            least = logits.topk(top_k).values[:, -1:]
            chances = logits.masked_fill(logits < least, -math.inf).softmax(-1)
            x = torch.cat([x, torch.multinomial(chances, 1)], dim=1)
        return x[:, 1:]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tokens", help="a .npy of 'dvae tokenize'")
    parser.add_argument("--output", required=True, help="the .npy of new tokens to write")
    parser.add_argument("--updates", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--width", type=int, default=192, help="numbers per position")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--count", type=int, default=16, help="pictures to draw")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--top-k", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)

    tokens = np.load(options.tokens)  # uint16 [N, rows, columns]
    with open(options.tokens + ".json") as sidecar:
        provenance = json.load(sidecar)["provenance"]
    # Tokens of unknown provenance: as many codes as there are numbers.
    vocabulary = provenance["architecture"]["vocab_size"] if provenance else int(tokens.max()) + 1
    n, rows, columns = tokens.shape
    # A grid, row by row, is a sequence. nn.Embedding and cross_entropy do not accept uint16:
    # .long().
    sequences = torch.from_numpy(tokens.reshape(n, rows * columns)).long()
    held_out = max(1, n // 20)
    order = torch.randperm(n)
    validation, training = sequences[order[:held_out]], sequences[order[held_out:]]

    model = GPT(vocabulary, rows, columns, options.width, options.layers)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(training)} pictures", flush=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, weight_decay=0.05)
    warm_up = max(1, options.updates // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda i: min((i + 1) / warm_up, 0.5 + 0.5 * math.cos(math.pi * i / options.updates)))

    def loss(batch):
        return F.cross_entropy(model(model.shifted(batch)).flatten(0, 1), batch.flatten())

    @torch.no_grad()
    def validation_loss():
        parts = [loss(part).item() * len(part) for part in validation.split(options.batch)]
        return sum(parts) / len(validation)

    start = time.time()
    for update in range(1, options.updates + 1):
        batch = training[torch.randint(len(training), (options.batch,))]
        value = loss(batch)
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1)
        optimizer.step()
        schedule.step()
        if update % 100 == 0 or update == options.updates:
            print(
                f"update {update}, {time.time() - start:.0f} s: training {value.item():.3f}, "
                f"held out {validation_loss():.3f} nats per token", flush=True)

    # The loss of a model that only knows the frequency of each token.
    counts = torch.bincount(training.flatten(), minlength=vocabulary) + 1
    chances = (counts / counts.sum()).log()
    print(f"tokens drawn by their frequency: {-chances[validation].mean().item():.3f} nats per token")
    new = model.sample(options.count, options.temperature, options.top_k)
    np.save(options.output, new.view(-1, rows, columns).numpy().astype(np.uint16))
    print(f"{options.output}: {options.count} grids of {rows}×{columns} tokens")


if __name__ == "__main__":
    main()
