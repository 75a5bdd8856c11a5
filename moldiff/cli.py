"""The command line: `moldiff sample|evaluate|export`, and Lightning's `fit|validate|test`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Literal

HELP = """usage: moldiff COMMAND [options]

New molecules in 3D by equivariant diffusion.

  sample      draw molecules from a trained model to an .sdf or .xyz file
  evaluate    score the molecules of a file
  export      turn a training checkpoint into a model folder (weights, config, card)
  fit         train a model:        moldiff fit --config configs/qm9.yaml
  validate    losses of a model on the validation split
  test        losses of a model on the test split

moldiff COMMAND --help explains the options of a command.
"""
TRAINER_COMMANDS = ("fit", "validate", "test")


def main(args: Sequence[str] | None = None) -> None:
    """Run one command; errors that the user can mend are told in one line, with exit code 2."""
    arguments = list(sys.argv[1:] if args is None else args)
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.stdout.write(HELP)
        return
    if arguments[0] == "--version":
        import moldiff

        sys.stdout.write(f"moldiff {moldiff.__version__}\n")
        return
    commands: dict[str, Callable[..., Any]] = {"sample": sample, "evaluate": evaluate, "export": export}
    name, *rest = arguments
    try:
        if name in commands:
            _call(name, commands[name], rest)
        elif name in TRAINER_COMMANDS:
            from moldiff.training.command import run_trainer

            run_trainer(arguments)
        else:
            raise ValueError(f"unknown command {name!r}: expected one of {', '.join([*commands, *TRAINER_COMMANDS])}")
    except (ValueError, OSError, ImportError) as error:
        if os.environ.get("MOLDIFF_TRACEBACK"):
            raise
        sys.stderr.write(f"moldiff {name}: error: {error}\n")
        raise SystemExit(2) from error
    except KeyboardInterrupt:
        sys.stderr.write(f"\nmoldiff {name}: interrupted\n")
        raise SystemExit(130) from None


def sample(
    num_samples: int,
    out: Path,
    model: str = "qm9",
    num_steps: int | None = None,
    num_atoms: int | None = None,
    seed: int = 0,
    batch_size: int = 64,
    device: str | None = None,
    precision: Literal["auto", "float32", "bfloat16"] = "auto",
    overwrite: bool = False,
) -> None:
    """Draw molecules from a trained model and write them with bonds, charges and properties.

    Molecules that fail the strict rule are written too, with `moldiff_valid` = 0.

    Args:
        num_samples: molecules to draw.
        out: file to write, .sdf or .xyz by its ending; finished batches are kept beside it until the end.
        model: name of a bundled model, model folder, or checkpoint of `moldiff fit`.
        num_steps: sampling steps; the model's default if not given.
        num_atoms: atoms of every molecule, hydrogens included; drawn from the sizes of the training data if not given.
        seed: of sizes and noise; the same seed gives the same molecules.
        batch_size: molecules that are denoised together.
        device: torch device; a GPU if there is one, else the CPU.
        precision: of matrix products; auto takes bfloat16 where the hardware is fast at it.
        overwrite: replace the file if it exists.
    """
    from concurrent.futures import ThreadPoolExecutor

    from moldiff.chem.files import MoleculeWriter
    from moldiff.diffusion.generate import SampledBatch
    from moldiff.diffusion.process_settings import prepare_process
    from moldiff.generator import MoleculeGenerator, record

    def write(batch: SampledBatch) -> int:
        mols = [record(m, i, seed, steps, generator.name) for i, m in zip(batch.indices, batch.molecules, strict=True)]
        for index, mol in zip(batch.indices, mols, strict=True):
            writer.write(mol, place=index)
        return sum(mol.GetIntProp("moldiff_valid") for mol in mols)

    prepare_process()
    with MoleculeWriter(out, overwrite) as writer, ThreadPoolExecutor(1) as worker:  # writes while the next is denoised
        generator = MoleculeGenerator.from_pretrained(model, device, precision)
        steps = num_steps or generator.model.num_steps
        batches = generator.stream(num_samples, seed, num_steps, num_atoms, batch_size)
        valid = sum(count.result() for count in _one_ahead(worker.submit(write, batch) for batch in batches))
    sys.stdout.write(f"{num_samples} molecules written to {out}, {valid} of them valid (strict rule)\n")


def evaluate(
    molecules: Path,
    reference: str | None = "qm9",
    out: Path | None = None,
    metrics: str = "basic,properties,geometry",
    bonds: Literal["rdkit", "edm"] = "rdkit",
    workers: int | None = None,
    overwrite: bool = False,
) -> None:
    """Score the molecules of a file by EDM's rule, by the strict rule, and against a reference.

    Args:
        molecules: a .sdf, .sdf.gz, .xyz, .npz or .smi file; each record counts as one requested molecule.
        reference: what the molecules are compared with: "qm9", or a file of one of these kinds; null = nothing.
        out: where to write the report as JSON, besides printing it.
        metrics: groups of scores, separated by commas: basic, properties, geometry, diversity, strain, posebusters,
            xtb, fcd.
        bonds: how bonds are found in files without them: RDKit's rdDetermineBonds, or EDM's table of distances.
        workers: processes; one per core if not given, unless there is little to do.
        overwrite: replace `out` if it exists.
    """
    from moldiff.metrics.command import run_evaluate

    groups = [name.strip() for name in metrics.split(",") if name.strip()]
    run_evaluate(molecules, reference, out, overwrite, groups, bonds, workers)


def export(checkpoint: Path, out: Path, card: Path | None = None) -> None:
    """Turn a training checkpoint into a model folder: model.safetensors, config.yaml, card.md.

    Args:
        checkpoint: .ckpt file written by `moldiff fit`; its averaged weights are taken, if averaging was on.
        out: folder to make; it must not exist.
        card: a text (Markdown) that is put into card.md above the settings of the run.
    """
    from moldiff.training.export import export_checkpoint

    export_checkpoint(checkpoint, out, card)
    sys.stdout.write(f"model written to {out}\n")


def _one_ahead(futures: Iterable[Future[int]]) -> Iterator[Future[int]]:
    """Each future when the next one has been made, so that at most two are under way."""
    last: Future[int] | None = None
    for future in futures:
        if last is not None:
            yield last
        last = future
    if last is not None:
        yield last


def _call(name: str, function: Callable[..., Any], arguments: list[str]) -> None:
    """Parse the arguments of a function by its signature and call it."""
    import jsonargparse

    parser = jsonargparse.ArgumentParser(prog=f"moldiff {name}", description=(function.__doc__ or "").split("\n")[0])
    switches: set[str | int] = {name for name in ("overwrite",) if name in function.__annotations__}
    parser.add_function_arguments(function, skip=switches)
    for switch in switches:
        parser.add_argument(f"--{switch}", action="store_true", help="Replace the output if it exists.")
    function(**vars(parser.parse_args(arguments)))
