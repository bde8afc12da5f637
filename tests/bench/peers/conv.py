"""Loss and gradient of a field of convolutions, by torchdiffeq; writes its weights and data for nodec.
usage: python conv.py OUT [THREADS]"""
import json, os, sys, time
import numpy as np
import torch
from torchdiffeq import odeint

BATCH, SIZES, STEPS = 16, [1, 64, 64, 64, 1], 2

out = os.path.join(sys.argv[1], "conv")
threads = int(sys.argv[2]) if len(sys.argv) > 2 else 1
torch.set_num_threads(threads)
rng = np.random.default_rng(0)
layers = []
for inner, outer in zip(SIZES, SIZES[1:]):
    bound = (6 / (9 * (inner + outer))) ** 0.5
    layers.append((rng.uniform(-bound, bound, (outer, inner, 3, 3)), np.zeros(outer)))
x, target = rng.normal(size=(2, BATCH, 1, 28, 28))
os.makedirs(out, exist_ok=True)
np.savez(os.path.join(out, "conv.npz"), x=x.astype("f4"), target=target.astype("f4"))
named = {f"c{i}.{n}": v.astype("f4") for i, layer in enumerate(layers) for n, v in zip("wb", layer)}
np.savez(os.path.join(out, "weights.npz"), **named)

params = [torch.tensor(v, dtype=torch.float32, requires_grad=True) for layer in layers for v in layer]
images, wanted = (torch.tensor(v, dtype=torch.float32) for v in (x, target))


def field(t, z):
    for i in range(len(layers)):
        z = torch.nn.functional.conv2d(z if i == 0 else torch.tanh(z), params[2 * i], params[2 * i + 1], padding=1)
    return z


def step():
    for p in params:
        p.grad = None
    span = torch.tensor([0.0, 1.0])
    end = odeint(field, images, span, method="rk4", options={"step_size": 1 / STEPS, "perturb": False})[-1]
    loss = ((end - wanted) ** 2).mean()
    loss.backward()
    return loss.item()


# torchdiffeq calls the 3/8 rule "rk4".
loss = step()
norm = sum((p.grad.double() ** 2).sum().item() for p in params) ** 0.5
times = []
for _ in range(7):
    begun = time.perf_counter()
    step()
    times.append(time.perf_counter() - begun)
print(json.dumps({"task": "train/conv/plain/rk38", "peer": "torchdiffeq", "seconds": sorted(times)[3],
                  "loss": loss, "grad_norm": norm, "threads": threads}))
