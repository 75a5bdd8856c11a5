"""The command line: `moldiff sample|evaluate|relax|report|export|prepare-pocket`, and Lightning's `fit` and others."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Literal

from moldiff import __version__
from moldiff.arguments import call

HELP = """usage: moldiff COMMAND [options]

New molecules in 3D by equivariant diffusion.

  sample          draw molecules from a trained model to an .sdf or .xyz file;
                  with --optimize LIGAND.sdf, improve a given molecule
  evaluate        score the molecules of a file
  relax           mend the geometry of molecules by a force field, alone or in a pocket
  report          show the molecules of files in a web page: scores, distributions, 2D and 3D
  export          turn a training checkpoint into a model folder (weights, config, card)
  prepare-pocket  cut a pocket out of a protein, for training or sampling
  fit             train a model:        moldiff fit --config configs/qm9.yaml
  validate        losses and likelihood of a model on the validation split
  test            losses and likelihood of a model on the test split
  distill         train a model of few steps: moldiff distill --config configs/qm9_fast.yaml
  fit-regressor   train a judge of properties: moldiff fit-regressor --config configs/qm9_regressor.yaml
  evaluate-properties  judge a model that is asked for properties

moldiff COMMAND --help explains the options of a command.
"""
TRAINER_COMMANDS = ("fit", "validate", "test", "distill", "fit-regressor", "evaluate-properties")


def main(args: Sequence[str] | None = None) -> None:
    """Run one command; errors that the user can mend are told in one line, with exit code 2."""
    arguments = list(sys.argv[1:] if args is None else args)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # signs that a terminal does not know must not end a run
            stream.reconfigure(errors="replace")
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.stdout.write(HELP)
        return
    if arguments[0] == "--version":
        sys.stdout.write(f"moldiff {__version__}\n")
        return
    commands: dict[str, Callable[..., Any]] = {
        "sample": sample,
        "evaluate": evaluate,
        "relax": relax,
        "report": report,
        "export": export,
        "prepare-pocket": prepare_pocket,
    }
    name, *rest = arguments
    try:
        if name == "sample" and any(word.split("=")[0] == "--optimize" for word in rest):
            call(name, improve, rest)
        elif name in commands:
            call(name, commands[name], rest)
        elif name in TRAINER_COMMANDS:
            _train(name, rest)
        else:
            raise ValueError(f"unknown command {name!r}: expected one of {', '.join([*commands, *TRAINER_COMMANDS])}")
    except (ValueError, OSError, ImportError) as error:
        if os.environ.get("MOLDIFF_TRACEBACK"):
            raise
        sys.stderr.write(f"moldiff {name}: error: {error}\n")
        raise SystemExit(2) from error
    except (MemoryError, RuntimeError) as error:
        if os.environ.get("MOLDIFF_TRACEBACK") or not (
            isinstance(error, MemoryError) or re.search("out of memory|not enough memory|can't allocate", str(error))
        ):
            raise
        full = "the memory is full (" + str(error).split("\n")[0] + ")"
        sys.stderr.write(f"moldiff {name}: error: {full}: give a smaller batch size, or fewer atoms\n")
        raise SystemExit(2) from error
    except KeyboardInterrupt as error:
        sys.stderr.write(f"\nmoldiff {name}: {': '.join(filter(None, ('interrupted', str(error))))}\n")
        raise SystemExit(130) from None


def sample(
    num_samples: int,
    out: Path,
    model: str = "qm9_distilled",
    num_steps: int | None = None,
    num_atoms: int | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    device: str | None = None,
    precision: Literal["auto", "float32", "bfloat16"] = "auto",
    pocket: Path | None = None,
    reference_ligand: Path | None = None,
    center: str | None = None,
    fix: Path | None = None,
    anchors: str | None = None,
    formula: str | None = None,
    trust_classes: bool = False,
    devices: int = 1,
    num_nodes: int = 1,
    resume: bool = False,
    avoid_clashes: float | None = None,
    reward: str | None = None,
    particles: int = 4,
    trajectory: Path | None = None,
    properties: dict[str, float] | None = None,
    guidance_scale: float = 1.0,
    overwrite: bool = False,
) -> None:
    """Draw molecules from a trained model. With --optimize LIGAND.sdf --help: the options to improve one.

    Args:
        num_samples: molecules to draw.
        out: .sdf or .xyz file, of invalid molecules, too (`moldiff_valid` = 0); finished batches are kept beside it.
        model: name of a bundled model, model folder, or checkpoint of `moldiff fit`.
        num_steps: sampling steps; the model's default if not given.
        num_atoms: of every molecule, with the model's hydrogens; if not given, as in reference ligand or training data.
        seed: of sizes and noise; the same seed gives the same molecules.
        batch_size: molecules that are denoised together; 128 if not given, 512 on a GPU.
        device: torch device; a GPU if there is one, else the CPU.
        precision: of matrix products; auto takes bfloat16 where the hardware is fast at it.
        pocket: .pdb or .cif file of a protein, for models that know pockets; molecules are written in its frame.
        reference_ligand: .sdf file of a ligand in the pocket: new molecules get its place and number of heavy atoms.
        center: x,y,z in Å, written as --center=-1.5,20,3: mean position of the molecules, without a reference ligand.
        fix: .sdf file of a fragment, or several in one record, that all molecules hold, joined at open valences.
        anchors: with `fix`, the atoms that may get new bonds, from 1 as in the file: 1,5; else all with a free valence.
        formula: such as C7H10O2: every molecule has so many atoms of each element; without hydrogens, the heavy ones.
        trust_classes: load a model that names classes from outside of moldiff, which can run any code.
        devices: processes on each machine that share the work, with a GPU each if there are any.
        num_nodes: machines; with more than one, srun or torchrun must start the processes.
        resume: go on with what is written already: the rest of an interrupted run, or more molecules than before.
        avoid_clashes: with `pocket`, how strongly atoms are pushed out of the protein's: 1 if not given, 0 = not.
        reward: qed, logp, sa, smarts:PATTERN, or properties (nearness to the asked): the best of a population.
        particles: with `reward`, the size of a population; with 4, it costs as much as to draw 4 molecules.
        trajectory: .xyz or .gif file: the first molecule on its way from noise to data.
        properties: such as --properties.gap 5.0, for models trained with them; QM9's in eV, Bohr^3, D, cal/mol/K.
        guidance_scale: how closely properties or pocket are followed: 1 as trained; 2 closer, at twice the cost.
        overwrite: replace the files if they exist.
    """
    settings = dict(locals())
    from moldiff.diffusion.process_settings import prepare_process
    from moldiff.generator import MoleculeGenerator
    from moldiff.ranks import own_rank, start_ranks
    from moldiff.sample_options import SampleOptions

    options = SampleOptions(settings)
    if (rank := own_rank(devices, num_nodes)) is None:
        start_ranks(devices, settings)
        return
    prepare_process()
    records = rank.writer(out, num_samples, overwrite, resume)
    generator = MoleculeGenerator.from_pretrained(model, rank.device(device), precision, trust_classes)
    asked, steps = options.conditions(generator), num_steps or generator.model.num_steps
    rank.discard(records.path, overwrite, resume)
    with records as writer:
        part = rank.part(writer.finished.checked(options.run(generator), num_samples))
        if trajectory is not None and rank.number == 0:
            generator.trajectory(0, seed, num_steps, num_atoms, **asked).save(trajectory, overwrite or resume)
        batches = generator.stream(num_samples, seed, num_steps, num_atoms, batch_size, rank.number == 0, part, **asked)
        valid = generator.write(batches, writer, seed, steps, len(asked.get("fixed") or ()), options.notes(generator))
    sys.stdout.write(rank.ending(out, writer.path, num_samples, valid + writer.finished.num_valid))


def improve(
    optimize: Path,
    objective: Literal["qed", "sa", "vina"],
    out: Path,
    model: str = "qm9",
    pocket: Path | None = None,
    num_samples: int = 32,
    generations: int = 10,
    noise_level: float = 0.5,
    num_steps: int | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    device: str | None = None,
    precision: Literal["auto", "float32", "bfloat16"] = "auto",
    avoid_clashes: float | None = None,
    trust_classes: bool = False,
    overwrite: bool = False,
) -> None:
    """Improve a molecule, in a pocket or without: noise it, denoise it, keep the best, again and again.

    The number of atoms stays as it is. The best molecules of all generations are written, the best first, after each.

    Args:
        optimize: .sdf file of one molecule, in the frame of the pocket if there is one.
        objective: qed (drug-likeness, rises), sa (synthetic accessibility from 0, hard, to 1, easy, rises), or vina
            (kcal/mol after a local minimisation in the pocket, falls; extra `docking`).
        out: file to write, .sdf or .xyz by its ending.
        model: name of a bundled model, model folder, or checkpoint of `moldiff fit`.
        pocket: .pdb file of a protein, for models that know pockets; the molecule tells the place.
        num_samples: molecules of each generation; of all, at most so many are written.
        generations: rounds of drawing and choosing.
        noise_level: how far molecules are noised each time: the nearer to 0, the more they stay as they are; below 1.
        num_steps: steps for a molecule from pure noise, of which a part is taken; the model's default if not given.
        seed: of the noise; the same seed gives the same molecules.
        batch_size: molecules that are denoised together; 128 if not given, 512 on a GPU.
        device: torch device; a GPU if there is one, else the CPU.
        precision: of matrix products; auto takes bfloat16 where the hardware is fast at it.
        avoid_clashes: with `pocket`, how strongly atoms are pushed out of the protein's: 1 if not given, 0 = not.
        trust_classes: load a model that names classes from outside of moldiff, which can run any code.
        overwrite: replace the file if it exists.
    """
    settings = dict(locals())
    from moldiff.optimize_command import run_optimize

    run_optimize(**settings)


def evaluate(
    molecules: Path,
    reference: str | None = "qm9",
    out: Path | None = None,
    metrics: str = "basic,properties,geometry",
    bonds: Literal["rdkit", "edm"] = "rdkit",
    workers: int | None = None,
    overwrite: bool = False,
    pocket: Path | None = None,
    reference_ligand: Path | None = None,
    dock: bool = False,
    fast: bool = False,
) -> None:
    """Score the molecules of a file by EDM's rule, by the strict rule and against a reference, or in a protein pocket.

    Args:
        molecules: a .sdf, .sdf.gz, .xyz, .npz or .smi file; each record counts as one requested molecule.
        reference: what the molecules are compared with: "qm9", or a file of one of these kinds; null = nothing.
        out: where to write the report as JSON, besides printing it.
        metrics: groups of scores, separated by commas: basic, properties, geometry, diversity, strain, posebusters,
            xtb, fcd.
        bonds: how bonds are found in files without them: RDKit's rdDetermineBonds, or EDM's table of distances.
        workers: processes; one per core if not given, unless there is little to do.
        overwrite: replace `out` if it exists.
        pocket: a .pdb file of a protein or pocket that the molecules lie in, without its ligand: scores them there.
        reference_ligand: with `pocket`, a .sdf file of its known ligand, which is scored beside the molecules.
        dock: with `pocket`, dock each molecule with AutoDock Vina as well (seconds to minutes for each).
        fast: with `pocket`, leave out strain and PoseBusters' internal energy, which take most of the time.
    """
    if pocket is not None:
        if (metrics, bonds) != ("basic,properties,geometry", "rdkit") or reference not in ("qm9", None):
            raise ValueError(
                "got --metrics, --bonds or --reference with --pocket, whose scores are always the same: "
                "leave them out (the known ligand is the --reference_ligand)"
            )
        from moldiff.metrics.pocket.command import run_evaluate_pocket

        run_evaluate_pocket(molecules, pocket, reference_ligand, out, overwrite, dock, fast, workers)
        return
    if reference_ligand is not None or dock or fast:
        raise ValueError("got --reference_ligand, --dock or --fast without --pocket; expected --pocket P.pdb with them")
    from moldiff.metrics.command import run_evaluate

    groups = [name.strip() for name in metrics.split(",") if name.strip()]
    run_evaluate(molecules, reference, out, overwrite, groups, bonds, workers)


def relax(
    molecules: Path,
    out: Path,
    pocket: Path | None = None,
    vina: bool = False,
    workers: int | None = None,
    overwrite: bool = False,
) -> None:
    """Mend the geometry of the molecules of a file by a force field (MMFF94s, or UFF), alone or in a pocket.

    Args:
        molecules: a .sdf or .sdf.gz file with bonds and coordinates; hydrogens may be missing, as in designs.
        out: .sdf or .xyz file for all records, with `moldiff_relaxed` (1; 0 where it failed) and how far atoms moved.
        pocket: .pdb or .cif file of a protein; the molecules keep their places in it, and clashes get fewer.
        vina: with `pocket` (.pdb), move them to the next minimum of AutoDock Vina's energy, too.
        workers: processes; one per core if not given, unless there is little to do.
        overwrite: replace `out` if it exists.
    """
    from moldiff.relax_command import run_relax

    run_relax(molecules, out, pocket, vina, overwrite, workers)


def report(
    molecules: list[str],
    out: Path,
    reference: str | None = "qm9",
    num_shown: int = 100,
    metrics: str = "basic,properties,geometry",
    bonds: Literal["rdkit", "edm"] = "rdkit",
    workers: int | None = None,
    overwrite: bool = False,
) -> None:
    """Show the molecules of one or more files in a web page: scores, distributions, a gallery in 2D and 3D, failures.

    The page is one file and loads nothing from the network; several files stand side by side.

    Args:
        molecules: .sdf, .sdf.gz, .xyz, .npz or .smi files; each record counts as one requested molecule.
        out: .html file to write.
        reference: what the molecules are compared with: "qm9", or a file of one of these kinds; null = nothing.
        num_shown: molecules of each file in the gallery, and of its failures, evenly spaced through the file.
        metrics: groups of scores, separated by commas: basic, properties, geometry, diversity, strain, posebusters,
            xtb, fcd.
        bonds: how bonds are found in files without them: RDKit's rdDetermineBonds, or EDM's table of distances.
        workers: processes; one per core if not given, unless there is little to do.
        overwrite: replace the page if it exists.
    """
    from moldiff.metrics.html import run_report

    groups = [name.strip() for name in metrics.split(",") if name.strip()]
    run_report([Path(name) for name in molecules], out, reference, num_shown, overwrite, groups, bonds, workers)


def export(
    checkpoint: Path,
    out: Path,
    card: Path | None = None,
    half: bool = False,
    trust_classes: bool = False,
    regressor: Path | None = None,
) -> None:
    """Turn a training checkpoint into a model folder: model.safetensors, config.yaml, card.md.

    Args:
        checkpoint: .ckpt file written by `moldiff fit`; its averaged weights are taken, if averaging was on.
        out: folder to make; it must not exist.
        card: a text (Markdown) that is put into card.md above the settings of the run.
        half: keep the weights as float16: half the size, rounded by 0.05 % at most, and used in float32 all the same.
        trust_classes: take a checkpoint that names classes from outside of moldiff, which can run any code.
        regressor: .ckpt of `moldiff fit-regressor` for a model that is asked for properties: it predicts them.
    """
    from moldiff.training.export import export_checkpoint

    export_checkpoint(checkpoint, out, card, trust_classes, half, regressor)
    sys.stdout.write(f"model written to {out}\n")


def prepare_pocket(
    protein: Path,
    out: Path,
    ligand: Path | None = None,
    residues: str | None = None,
    center: str | None = None,
    radius: float = 10.0,
    id: str | None = None,
    split: Literal["train", "val", "test"] | None = None,
) -> None:
    """Cut a pocket out of a protein and add it to a folder of complexes, for training or sampling.

    The pocket is what is around a ligand, or around a centre, or the residues that are named.

    Args:
        protein: .pdb or .cif file, which may be compressed (.gz).
        out: folder of complexes (index.csv, complexes/ID/pocket.pdb and ligand.sdf); made if there is none.
        ligand: .sdf file of one molecule in the frame of the protein.
        residues: chain:number of each residue, such as A:123,A:145B.
        center: x,y,z in Å, written as --center=-1.5,20,3.
        radius: residues with any heavy atom within this distance of the ligand or centre are taken, in Å.
        id: name of the entry; that of the ligand's file, or else of the protein's, if not given.
        split: part of the data that the entry belongs to; if no entry has one, the split is random.
    """
    from moldiff.data.prepare_pocket import numbers, run_prepare_pocket

    names = [name.strip() for name in residues.split(",")] if residues else None
    run_prepare_pocket(protein, out, ligand, names, numbers(center) if center else None, radius, id, split)


def _train(name: str, arguments: list[str]) -> None:
    from moldiff.training import DiffusionModule, DistillationModule, PropertyModule
    from moldiff.training.command import run_trainer

    if name == "evaluate-properties":
        from moldiff.training.property_command import evaluate_properties

        call(name, evaluate_properties, arguments)
        return
    modules = {"fit-regressor": PropertyModule, "distill": DistillationModule}
    run_trainer(["fit" if name in modules else name, *arguments], modules.get(name, DiffusionModule), name)
