"""A peer on an accelerator: device_peers.py torch|jax WHAT:N_HID:VOCABULARY:SIDE:BATCH cpu|cuda RUNS

Prints the median of the seconds of so many runs, after two that compile and warm up. A training step
is that of train_step.py, on images that are on the device; the encoder takes uint8 pixels from the
host and gives tokens to the host, as ours does.
"""

import os
import statistics
import sys
import time


def torch_peer(what, case, platform):
    """torch.compile with channels last, under autocast to bfloat16."""
    import torch
    from train_step import Step

    step = Step(case, os.cpu_count(), compiled=True, bfloat16=True, device=platform)
    if what == "train":
        return step.run, torch.cuda.synchronize if platform == "cuda" else lambda: None
    pixels = torch.randint(256, (step.x.shape[0], *step.x.shape[2:], 3), dtype=torch.uint8)

    def tokens(pixels):
        x = 0.8 / 255 * pixels.permute(0, 3, 1, 2) + 0.1
        with torch.autocast(platform, torch.bfloat16):
            return step.encoder(x).argmax(1)

    compiled = torch.compile(tokens)

    def encode():
        with torch.inference_mode():
            compiled(pixels.to(platform)).cpu()

    return encode, lambda: None


def jax_peer(what, case, platform):
    """The same network in JAX: NHWC, parameters in float32, activations in bfloat16."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    jax.config.update("jax_platforms", platform)
    n_hid, vocabulary, side, batch = map(int, case.split(":"))
    keys = iter(jax.random.split(jax.random.key(0), 200))

    def layer(inputs, outputs, kernel):
        size = (kernel, kernel, inputs, outputs)
        w = jax.random.normal(next(keys), size) * (inputs * kernel**2) ** -0.5
        return {"w": w, "b": jnp.zeros(outputs)}

    def block(inputs, outputs, kernels):
        widths = [inputs] + [outputs // 4] * 3 + [outputs]
        return {
            "id": layer(inputs, outputs, 1) if inputs != outputs else None,
            "res": [layer(*sizes) for sizes in zip(widths, widths[1:], kernels)]}

    def half(inputs, input_kernel, first, widths, outputs, kernels):
        groups, width = [], first
        for wide in widths:
            groups.append([block(width, wide, kernels), block(wide, wide, kernels)])
            width = wide
        return {"in": layer(inputs, first, input_kernel), "groups": groups,
                "out": layer(width, outputs, 1)}

    widths = [n_hid, 2 * n_hid, 4 * n_hid, 8 * n_hid]
    parameters = {
        "encoder": half(3, 7, n_hid, widths, vocabulary, (3, 3, 3, 1)),
        "decoder": half(vocabulary, 1, 128, widths[::-1], 6, (1, 3, 3, 3))}

    def convolution(x, p):
        y = jax.lax.conv_general_dilated(
            x, p["w"].astype(x.dtype), (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return y + p["b"].astype(x.dtype)

    def network(x, p, resample):
        x = convolution(x.astype(jnp.bfloat16), p["in"])
        for at, group in enumerate(p["groups"]):
            x = resample(x) if at else x
            for weights in group:
                r = x
                for w in weights["res"]:
                    r = convolution(jax.nn.relu(r), w)
                x = (convolution(x, weights["id"]) if weights["id"] else x) + r / 64
        return convolution(jax.nn.relu(x), p["out"]).astype(jnp.float32)

    def pool(x):
        n, h, w, c = x.shape
        return x.reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4))

    def upsample(x):
        return x.repeat(2, 1).repeat(2, 2)

    def loss(p, x, key):
        logits = network(x, p["encoder"], pool)
        y = jax.nn.softmax((logits + jax.random.gumbel(key, logits.shape)) / 0.5)
        mu, ln_b = jnp.split(network(y, p["decoder"], upsample), 2, -1)
        error = jnp.abs(jnp.log(x) - jnp.log(1 - x) - mu) * jnp.exp(-ln_b)
        likelihood = jnp.log(2.0) + ln_b + jnp.log(x * (1 - x)) + error
        ln_q = jax.nn.log_softmax(logits)
        kl = (jnp.exp(ln_q) * (ln_q + jnp.log(vocabulary))).sum(-1)
        return likelihood.mean() + 6.6 / 192 * kl.mean()

    def adamw(p, g, m, v, average):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        p = p - 1e-4 * (1e-4 * p + m / (jnp.sqrt(v) + 1e-8))
        return p, m, v, 0.999 * average + 0.001 * p

    @jax.jit
    def tokens(p, pixels):
        return network(0.8 / 255 * pixels + 0.1, p, pool).argmax(-1)

    if what == "encode":
        pixels = np.random.default_rng(0).integers(256, size=(batch, side, side, 3), dtype=np.uint8)
        return lambda: np.asarray(tokens(parameters["encoder"], pixels)), lambda: None

    def update(state, x, key):
        gradients = jax.grad(loss)(state[0], x, key)
        leaves = [jax.tree.leaves(tree) for tree in (state[0], gradients, *state[1:])]
        updated = zip(*(adamw(*parts) for parts in zip(*leaves)))
        shape = jax.tree.structure(state[0])
        return tuple(jax.tree.unflatten(shape, list(tree)) for tree in updated)

    update = jax.jit(update, donate_argnums=0)
    x = 0.1 + 0.8 * jax.random.uniform(next(keys), (batch, side, side, 3))
    # XLA's own generator is the faster of JAX's two.
    key = jax.random.key(1, impl="rbg")
    # Each role has memory of its own, because it is donated.
    state = [(parameters, *(jax.tree.map(jnp.zeros_like, parameters) for _ in range(3)))]

    def step():
        state[0] = update(state[0], x, key)

    return step, lambda: jax.block_until_ready(state)


def main():
    peer, case, platform, runs = sys.argv[1:]
    what, sizes = case.split(":", 1)
    # Libraries print to standard output, so the answer uses a copy of it.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    step, finish = {"torch": torch_peer, "jax": jax_peer}[peer](what, sizes, platform)
    times = []
    for _ in range(int(runs) + 2):
        start = time.perf_counter()
        step()
        finish()
        times.append(time.perf_counter() - start)
    answer.write(f"{statistics.median(times[2:])}\n")


if __name__ == "__main__":
    main()
