"""The command line: `moldiff sample|evaluate|report|export|prepare-pocket`, and Lightning's `fit|validate|test`."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Literal

HELP = """usage: moldiff COMMAND [options]

New molecules in 3D by equivariant diffusion.

  sample          draw molecules from a trained model to an .sdf or .xyz file
  evaluate        score the molecules of a file
  report          show the molecules of files in a web page: scores, distributions, 2D and 3D
  evaluate-properties  score a model that is asked for properties, with a regressor as judge
  export          turn a training checkpoint into a model folder (weights, config, card)
  prepare-pocket  cut a pocket out of a protein, for training or sampling
  fit             train a model:        moldiff fit --config configs/qm9.yaml
  validate        losses of a model on the validation split
  test            losses of a model on the test split
  fit-regressor   train a regressor of properties: moldiff fit-regressor --config configs/qm9_regressor.yaml

moldiff COMMAND --help explains the options of a command.
"""
TRAINER_COMMANDS = ("fit", "validate", "test", "fit-regressor")
_REPEATED = {  # options that may be given several times
    "molecules": "A .sdf, .sdf.gz, .xyz, .npz or .smi file; give it again for each further file (up to 6).",
}
_SWITCHES = {  # options without a value
    "overwrite": "Replace the output if it exists.",
    "dock": "With --pocket: dock each molecule with AutoDock Vina as well (seconds to minutes for each).",
    "fast": "With --pocket: leave out strain and PoseBusters' internal energy, which take most of the time.",
}


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
    commands: dict[str, Callable[..., Any]] = {
        "sample": sample,
        "evaluate": evaluate,
        "report": report,
        "evaluate-properties": evaluate_properties,
        "export": export,
        "prepare-pocket": prepare_pocket,
    }
    name, *rest = arguments
    try:
        if name in commands:
            _call(name, commands[name], rest)
        elif name in TRAINER_COMMANDS:
            _train(name, rest)
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
    pocket: Path | None = None,
    reference_ligand: Path | None = None,
    center: str | None = None,
    fix: Path | None = None,
    anchors: str | None = None,
    properties: dict[str, float] | None = None,
    guidance_scale: float = 1.0,
    overwrite: bool = False,
) -> None:
    """Draw molecules from a trained model and write them with bonds, charges and properties.

    Molecules that fail the strict rule are written too, with `moldiff_valid` = 0.

    Args:
        num_samples: molecules to draw.
        out: file to write, .sdf or .xyz by its ending; finished batches are kept beside it until the end.
        model: name of a bundled model, model folder, or checkpoint of `moldiff fit`.
        num_steps: sampling steps; the model's default if not given.
        num_atoms: atoms of every molecule, with hydrogens if the model makes them; if not given, as many as the
            reference ligand has, or drawn from the sizes of the training data.
        seed: of sizes and noise; the same seed gives the same molecules.
        batch_size: molecules that are denoised together.
        device: torch device; a GPU if there is one, else the CPU.
        precision: of matrix products; auto takes bfloat16 where the hardware is fast at it.
        pocket: .pdb or .cif file of a protein, for models that know pockets; molecules are written in its frame.
        reference_ligand: .sdf file of a ligand in the pocket: new molecules get its place and number of heavy atoms.
        center: x,y,z in Å, written as --center=-1.5,20,3: the mean position of the new molecules, if there is no
            reference ligand.
        fix: .sdf file of a fragment, or several in one record, that all molecules hold as their first atoms, joined
            where bonds or hydrogens are missing; in a pocket it keeps its place.
        anchors: with `fix`, the atoms that may get new bonds, numbered from 1 as in the file: 1,5; if not given, all
            with a free valence.
        properties: what molecules are asked to have, one option for each, such as --properties.gap 5.0, for models that
            were trained with properties; in the units of the data (QM9: eV, Bohr^3, D, cal/mol/K).
        guidance_scale: how closely properties or pocket are followed: 1 as trained; 2 closer, at twice the cost.
        overwrite: replace the file if it exists.
    """
    from concurrent.futures import ThreadPoolExecutor

    from moldiff.chem.files import MoleculeWriter
    from moldiff.data.prepare_pocket import numbers
    from moldiff.diffusion.conditions import Conditions, notes_of
    from moldiff.diffusion.generate import SampledBatch
    from moldiff.diffusion.process_settings import prepare_process
    from moldiff.generator import MoleculeGenerator

    def write(batch: SampledBatch) -> int:
        mols = [
            generator.record(m, i, seed, steps, num_fixed, notes)
            for i, m in zip(batch.indices, batch.molecules, strict=True)
        ]
        for index, mol in zip(batch.indices, mols, strict=True):
            writer.write(mol, place=index)
        return sum(mol.GetIntProp("moldiff_valid") for mol in mols)

    if pocket is None and (reference_ligand is not None or center is not None):
        raise ValueError("a reference ligand or a center needs a pocket: give --pocket, a .pdb or .cif file")
    if anchors is not None and (fix is None or not re.fullmatch(r"\d+(,\d+)*", anchors)):
        raise ValueError(f"got --anchors {anchors}; expected numbers such as 1,5 together with --fix, an .sdf file")
    prepare_process()
    with MoleculeWriter(out, overwrite) as writer, ThreadPoolExecutor(1) as worker:  # writes while the next is denoised
        generator = MoleculeGenerator.from_pretrained(model, device, precision)
        steps = num_steps or generator.model.num_steps
        site = generator.site(pocket, reference_ligand, numbers(center) if center else None) if pocket else None
        fixed = (
            generator.fixed(fix, [int(number) for number in anchors.split(",")] if anchors else None) if fix else None
        )
        num_fixed = 0 if fixed is None else len(fixed)
        asked = Conditions(site=site, fixed=fixed, properties=properties, guidance_scale=guidance_scale)
        notes = notes_of(asked, 0)
        batches = generator.stream(num_samples, seed, num_steps, num_atoms, batch_size, **asked)
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
        pocket: a .pdb file of a protein or pocket that the molecules lie in: gives the scores of molecules in a pocket.
        reference_ligand: with `pocket`, a .sdf file of its known ligand, which is scored beside the molecules.
        dock: with `pocket`, dock each molecule with AutoDock Vina as well (seconds to minutes for each).
        fast: with `pocket`, leave out strain and PoseBusters' internal energy, which take most of the time.
    """
    if pocket is not None:
        from moldiff.metrics.pocket.command import run_evaluate_pocket

        run_evaluate_pocket(molecules, pocket, reference_ligand, out, overwrite, dock, fast)
        return
    if reference_ligand is not None or dock or fast:
        raise ValueError("got --reference_ligand, --dock or --fast without --pocket; expected --pocket P.pdb with them")
    from moldiff.metrics.command import run_evaluate

    groups = [name.strip() for name in metrics.split(",") if name.strip()]
    run_evaluate(molecules, reference, out, overwrite, groups, bonds, workers)


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


def evaluate_properties(
    model: str,
    regressor: Path,
    num_samples: int = 1000,
    guidance_scale: float = 1.0,
    properties: str | None = None,
    num_steps: int | None = None,
    seed: int = 0,
    batch_size: int = 64,
    device: str | None = None,
    precision: Literal["auto", "float32", "bfloat16"] = "auto",
    source: str = "qm9pack",
    out: Path | None = None,
    overwrite: bool = False,
) -> None:
    """Make molecules of QM9 for drawn properties, one at a time, and judge them by a regressor (EDM's protocol).

    Model and regressor should have been trained on the two halves of the data: --data.half first, --data.half second.

    Args:
        model: model folder, or checkpoint of `moldiff fit`, trained with properties.
        regressor: checkpoint of `moldiff fit-regressor`.
        num_samples: molecules for each property.
        guidance_scale: how closely properties are followed: 1 as trained; 2 closer, at twice the cost.
        properties: names of properties, separated by commas; all that model and regressor know if not given.
        num_steps: sampling steps; the model's default if not given.
        seed: of targets, sizes and noise.
        batch_size: molecules that are denoised together.
        device: torch device; a GPU if there is one, else the CPU.
        precision: of the sampler's matrix products; auto takes bfloat16 where the hardware is fast at it.
        source: of QM9, as in QM9DataModule.
        out: where to write the errors as JSON, besides printing them.
        overwrite: replace `out` if it exists.
    """
    from dataclasses import asdict

    from moldiff.data import QM9DataModule
    from moldiff.diffusion.process_settings import prepare_process
    from moldiff.generator import MoleculeGenerator
    from moldiff.metrics.report import check_output, write_json
    from moldiff.training.judge import Judge
    from moldiff.training.target_scores import score_properties

    if out is not None:
        check_output(out, overwrite)
    prepare_process()
    generator = MoleculeGenerator.from_pretrained(model, device, precision)
    judge = Judge.from_checkpoint(regressor, str(generator.device))
    data = QM9DataModule(source=source, half="first")
    names = [name.strip() for name in properties.split(",")] if properties else None
    settings = (num_samples, guidance_scale, names, seed, num_steps, batch_size, generator.bfloat16)
    scores = score_properties(generator.model, judge, data.train, data.test, *settings)
    sys.stdout.write(f"{scores}\n")
    if out is not None:
        write_json(asdict(scores), out, overwrite)
        sys.stdout.write(f"written to {out}\n")


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
    from moldiff.training import DiffusionModule, PropertyModule
    from moldiff.training.command import run_trainer

    if name == "fit-regressor":
        run_trainer(["fit", *arguments], PropertyModule)
    else:
        run_trainer([name, *arguments], DiffusionModule)


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
    switches: dict[str | int, str] = {
        name: text for name, text in _SWITCHES.items() if name in function.__annotations__
    }
    repeated = {n: text for n, text in _REPEATED.items() if function.__annotations__.get(n) == "list[str]"}
    parser.add_function_arguments(function, skip={*switches, *repeated})
    for option, text in repeated.items():
        parser.add_argument(f"--{option}", action="append", required=True, metavar="FILE", help=text)
    for switch, text in switches.items():
        parser.add_argument(f"--{switch}", action="store_true", help=text)
    function(**vars(parser.parse_args(arguments)))
