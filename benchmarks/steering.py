"""Steering against picking the best of several draws: `python -m benchmarks.steering --help`."""

from __future__ import annotations

import argparse
import time
from collections import Counter

import numpy as np
from rdkit import Chem, rdBase

from moldiff import MoleculeGenerator
from moldiff.chem.arrays import sanitized
from moldiff.chem.rewards import Reward, reward_by_name
from moldiff.diffusion.process_settings import prepare_process
from moldiff.diffusion.steering import Steering
from moldiff.metrics.strict import strict_verdict

HEAD = "| molecules | strictly valid | mean reward of the valid | 95 % ± | distinct of the valid | CPU time |"


def main() -> None:
    """Command line: a table of rewards, validity and cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="qm9", help="bundled model or folder")
    parser.add_argument("--reward", default="qed", help="qed, logp, sa or smarts:PATTERN")
    parser.add_argument("--num_samples", type=int, default=300)
    parser.add_argument("--particles", type=int, default=4, help="also the number of draws that the best is picked of")
    parser.add_argument("--rounds", type=int, default=Steering.rounds)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    prepare_process()
    generator, reward = MoleculeGenerator.from_pretrained(args.model), reward_by_name(args.reward)
    steering = Steering(args.reward, args.particles, args.rounds)
    print(f"{HEAD}\n|{'---|' * HEAD.count(' |')}")

    start = time.process_time()
    first = generator.sample(args.num_samples, args.seed).raw
    cost = time.process_time() - start
    print(row("as drawn", first, reward, cost, cost), flush=True)

    start = time.process_time()
    steered = generator.sample(args.num_samples, args.seed, steering=steering).raw
    print(row("steered", steered, reward, time.process_time() - start, cost), flush=True)

    start = time.process_time()
    groups = [[mol] for mol in first]  # draws of the same size
    for size, count in Counter(mol.GetNumAtoms() for mol in first).items():
        more = args.particles - 1
        drawn = generator.sample(count * more, args.seed + 1, num_atoms=size, progress=False).raw
        for k, group in enumerate(group for group in groups if group[0].GetNumAtoms() == size):
            group += drawn[k * more : (k + 1) * more]
    picked = [max(group, key=lambda mol: value(mol, reward)) for group in groups]
    total = cost + time.process_time() - start
    print(row(f"best of {args.particles} of the same size", picked, reward, total, cost))
    everything = sorted((mol for group in groups for mol in group), key=lambda mol: -value(mol, reward))
    print(row(f"best of all {len(everything)} draws", everything[: len(first)], reward, total, cost), flush=True)


def value(mol: Chem.Mol, reward: Reward) -> float:
    """The reward of a strictly valid molecule, -inf for others."""
    return reward(sanitized(mol)) if mol.GetIntProp("moldiff_valid") else -np.inf


def row(name: str, mols: list[Chem.Mol], reward: Reward, seconds: float, unit: float) -> str:
    """A line of the table."""
    with rdBase.BlockLogs():
        smiles = [strict_verdict(mol).smiles for mol in mols]
    values = np.array([value(mol, reward) for mol, text in zip(mols, smiles, strict=True) if text is not None])
    valid, distinct = len(values) / len(mols), len({text for text in smiles if text}) / max(1, len(values))
    error = 1.96 * values.std(ddof=1) / len(values) ** 0.5
    return (
        f"| {name} | {valid:.1%} | {values.mean():.3f} | {error:.3f} | {distinct:.1%} | "
        f"{seconds:.0f} s, {seconds / unit:.1f} × |"
    )


if __name__ == "__main__":
    main()
