"""Weights and data of the training benchmarks, from the module `models` of the peers' scripts.
usage: PYTHONPATH=FOLDER_OF_MODELS python data.py OUT [TASK..]"""
import os, sys
import numpy as np
from models import SIZES, data, weights

out = sys.argv[1]
os.makedirs(out, exist_ok=True)
for task in sys.argv[2:] or SIZES:
    x, eps, target = data(task)
    kind = "ffjord" if task.startswith("ffjord") else task
    folder = os.path.join(out, task)
    os.makedirs(folder, exist_ok=True)
    np.savez(os.path.join(folder, f"{kind}.npz"), x=x, eps=eps, target=target)
    layers = {f"{n}{i}": v for i, layer in enumerate(weights(task)) for n, v in zip("wb", layer)}
    np.savez(os.path.join(folder, "weights.npz"), **layers)
