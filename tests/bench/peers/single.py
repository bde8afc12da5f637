"""Single trajectories with heyoka and scipy, and references: one JSON line for each.
usage: python single.py [TASK..]      tasks: lorenz lotka_volterra arenstorf bodies stiff"""
import json
import sys
import time

import heyoka as hy
import numpy as np
from scipy.integrate import solve_ivp

MU, PERIOD = 0.012277471, 17.065216560157962


def median(of, budget=0.5):
    end = of()
    begun, seconds = time.perf_counter(), []
    while len(seconds) < 5 or time.perf_counter() - begun < budget:
        now = time.perf_counter()
        of()
        seconds.append(time.perf_counter() - now)
    return float(np.median(seconds)), end


def tell(task, tolerance, peer, of):
    seconds, end = median(of)
    line = dict(task=f"single/{task}/{tolerance}", peer=peer, seconds=seconds, end=[float(x) for x in end])
    print(json.dumps(line), flush=True)


def bodies():
    """Six bodies of mass 1/6 on a ring, each a little off: positions, then velocities."""
    angle = 2 * np.pi * np.arange(6) / 6
    ring = np.stack([np.cos(angle), np.sin(angle), 0.1 * np.sin(3 * angle + 0.5)], 1)
    turn = 0.55 * np.stack([-np.sin(angle), np.cos(angle), 0.05 * np.cos(angle)], 1)
    return ring * (1 + 0.02 * np.arange(6))[:, None], turn


def field(task):
    """The equations, the rate for scipy, the start and the end."""
    if task == "lorenz":
        x, y, z = hy.make_vars("x", "y", "z")
        system = [(x, 10.0 * (y - x)), (y, x * (28.0 - z) - y), (z, x * y - 8.0 / 3.0 * z)]
        rate = lambda t, s: [10 * (s[1] - s[0]), s[0] * (28 - s[2]) - s[1], s[0] * s[1] - 8 / 3 * s[2]]
        return system, rate, [1.0, 1.0, 1.0], 10.0
    if task == "lotka_volterra":
        x, y = hy.make_vars("x", "y")
        system = [(x, 1.5 * x - x * y), (y, x * y - 3.0 * y)]
        return system, lambda t, s: [1.5 * s[0] - s[0] * s[1], s[0] * s[1] - 3 * s[1]], [1.0, 1.0], 50.0
    if task == "arenstorf":
        x, y, u, v = hy.make_vars("x", "y", "u", "v")
        d1 = ((x + MU) ** 2 + y**2) ** 1.5
        d2 = ((x - 1 + MU) ** 2 + y**2) ** 1.5
        system = [
            (x, u),
            (y, v),
            (u, x + 2.0 * v - (1 - MU) * (x + MU) / d1 - MU * (x - 1 + MU) / d2),
            (v, y - 2.0 * u - (1 - MU) * y / d1 - MU * y / d2),
        ]

        def rate(t, s):
            a = ((s[0] + MU) ** 2 + s[1] ** 2) ** 1.5
            b = ((s[0] - 1 + MU) ** 2 + s[1] ** 2) ** 1.5
            return [
                s[2],
                s[3],
                s[0] + 2 * s[3] - (1 - MU) * (s[0] + MU) / a - MU * (s[0] - 1 + MU) / b,
                s[1] - 2 * s[2] - (1 - MU) * s[1] / a - MU * s[1] / b,
            ]

        return system, rate, [0.994, 0.0, 0.0, -2.001585106379082], PERIOD
    x, v = bodies()
    return hy.model.nbody(6, masses=[1 / 6] * 6), None, np.concatenate([x, v], 1).ravel(), 5.0


def stiff():
    """Ends of the stiff problems, for comparison: not timed."""
    k, n = 0.02 * 33**2, 32

    def robertson(t, y):
        a, b, c = 0.04 * y[0], 1e4 * y[1] * y[2], 3e7 * y[1] ** 2
        return [b - a, a - b - c, c]

    def hires(t, y):
        bound = 280 * y[5] * y[7]
        return [
            -1.71 * y[0] + 0.43 * y[1] + 8.32 * y[2] + 0.0007,
            1.71 * y[0] - 8.75 * y[1],
            -10.03 * y[2] + 0.43 * y[3] + 0.035 * y[4],
            8.32 * y[1] + 1.71 * y[2] - 1.12 * y[3],
            -1.745 * y[4] + 0.43 * y[5] + 0.43 * y[6],
            -bound + 0.69 * y[3] + 1.71 * y[4] - 0.43 * y[5] + 0.69 * y[6],
            bound - 1.81 * y[6],
            -bound + 1.81 * y[6],
        ]

    def brusselator(t, y):
        u, v = y[:n], y[n:]
        du = np.concatenate([[1], u[:-1]]) - 2 * u + np.concatenate([u[1:], [1]])
        dv = np.concatenate([[3], v[:-1]]) - 2 * v + np.concatenate([v[1:], [3]])
        return np.concatenate([1 + u * u * v - 4 * u + k * du, 3 * u - u * u * v + k * dv])

    points = (np.arange(n) + 1) / (n + 1)
    start = np.concatenate([1 + np.sin(2 * np.pi * points), np.full(n, 3.0)])
    problems = [
        ("robertson", robertson, [1, 0, 0], 1e5, 1e-16),
        ("hires", hires, [1, 0, 0, 0, 0, 0, 0, 0.0057], 321.8122, 1e-15),
        ("brusselator32", brusselator, start, 10.0, 1e-13),
    ]
    for name, rate, y0, end, atol in problems:
        solved = solve_ivp(rate, (0, end), y0, method="Radau", rtol=1e-12, atol=atol)
        line = dict(task=f"stiff/{name}/1e-6", peer="reference", end=[float(x) for x in solved.y[:, -1]])
        print(json.dumps(line), flush=True)


def main(tasks):
    for task in tasks:
        if task == "stiff":
            stiff()
            continue
        system, rate, start, end = field(task)
        for tolerance in ["1e-6", "1e-9", "1e-12", "1e-15"]:
            ta = hy.taylor_adaptive(system, list(start), tol=float(tolerance))

            def solve():
                ta.time = 0.0
                ta.state[:] = start
                ta.propagate_until(end)
                if task == "bodies":
                    # Bodies one after the other; here x, x', y, y', z, z' of all.
                    return ta.state.reshape(6, 2, 3).transpose(2, 1, 0).ravel().copy()
                return ta.state.copy()

            tell(task, tolerance, "heyoka", solve)
            if rate is not None and tolerance != "1e-15":
                tol = float(tolerance)
                tell(task, tolerance, "scipy DOP853",
                     lambda: solve_ivp(rate, (0, end), start, method="DOP853", rtol=tol, atol=tol).y[:, -1])


if __name__ == "__main__":
    main(sys.argv[1:] or ["lorenz", "lotka_volterra", "arenstorf", "bodies", "stiff"])
