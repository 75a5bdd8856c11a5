"""`MoleculeGenerator`: load a trained model, draw molecules from it, keep it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Unpack

import numpy as np
from rdkit import Chem, rdBase
from tqdm import tqdm

from moldiff.chem.arrays import MoleculeArrays, from_mol, sanitized
from moldiff.chem.files import MoleculeWriter, read_molecule
from moldiff.chem.pocket import Pocket
from moldiff.chem.smiles import canonical_smiles
from moldiff.chem.trajectory import Trajectory
from moldiff.diffusion.conditions import Conditions
from moldiff.diffusion.fixed import FixedAtoms, fix_atoms
from moldiff.diffusion.generate import SampledBatch, check_integers, generate, trace
from moldiff.diffusion.model import Model, read_model
from moldiff.diffusion.model_folder import BUNDLED, DEFAULT, find_model, write_model
from moldiff.diffusion.optimisation import Candidate, Generation, optimise
from moldiff.diffusion.part import ALL, Part
from moldiff.diffusion.precision import Precision, use_bfloat16
from moldiff.diffusion.process_settings import usable_device
from moldiff.diffusion.site import Site, find_site
from moldiff.metrics.objectives import Objective
from moldiff.metrics.objectives import objective as find_objective
from moldiff.samples import Samples, record


class MoleculeGenerator:
    """Draws new molecules in 3D from a trained model.

    Example:
        >>> generator = MoleculeGenerator.from_pretrained("qm9")
        >>> samples = generator.sample(100, seed=0)
        >>> samples.to_sdf("molecules.sdf")
    """

    def __init__(self, model: Model, name: str, device: str | None = None, precision: Precision = "auto") -> None:
        """Most users want `from_pretrained`. `name` is written into every record."""
        self.name = name
        self.device = usable_device(device)
        self.bfloat16 = use_bfloat16(self.device, precision) and (
            model.denoiser.bears_bfloat16 or precision == "bfloat16"
        )
        self.model = model
        model.denoiser.to(self.device).eval()
        model.process.to(self.device)
        if model.regressor is not None:
            model.regressor.network.to(self.device).eval()

    def __repr__(self) -> str:
        """The model, and where it runs."""
        products = "bfloat16" if self.bfloat16 else "float32"
        return f"MoleculeGenerator({self.name}, {self.model.num_steps} steps, {self.device}, {products} products)"

    @classmethod
    def from_pretrained(
        cls, model: str | Path = DEFAULT, device: str | None = None, precision: Precision = "auto", trust: bool = False
    ) -> MoleculeGenerator:
        """Load a bundled model by its name, a model folder, or a checkpoint of `moldiff fit`.

        Args:
            model: name of a bundled model ("qm9"), or path of a folder made by `moldiff export`, or of a .ckpt file.
            device: torch device; a GPU if there is one, else the CPU.
            precision: of matrix products; "auto" takes bfloat16 where the hardware is fast at it.
            trust: whether the model may name classes from outside of moldiff, which can run any code.

        Raises:
            FileNotFoundError: if there is no such model.
            ValueError: if the files are damaged or do not fit together, a foreign class is named without trust, or the
                device cannot be used.
        """
        path = find_model(model, BUNDLED)
        name = path.stem if path.is_file() else path.resolve().name
        return cls(read_model(path, trust), name, device, precision)

    def sample(
        self,
        num_samples: int,
        seed: int = 0,
        num_steps: int | None = None,
        num_atoms: int | Sequence[int] | None = None,
        batch_size: int | None = None,
        progress: bool = True,
        **conditions: Unpack[Conditions],
    ) -> Samples:
        """Draw molecules.

        Molecule i depends on the model, the seed and i only, whatever the batch size and the number of molecules.

        Args:
            num_samples: molecules to draw.
            seed: of sizes and noise.
            num_steps: sampling steps; the model's default if None.
            num_atoms: atoms of each molecule, with hydrogens if the model makes them; if None, as many as the site's
                reference ligand has, or drawn from the training sizes (above the number of fixed atoms, and as they
                go with the properties that are asked for). A sequence has a number for each molecule.
            batch_size: molecules that are denoised together; 128 if None, 512 on a GPU.
            progress: show a progress bar.
            conditions: what the molecules are asked to be: `site`, `fixed`, `properties={"gap": 5.0}`, ... (see
                `Conditions`).
        """
        check_integers(num_samples=num_samples)
        molecules: list[MoleculeArrays | None] = [None] * num_samples
        notes: list[Mapping[str, str]] = [{}] * num_samples
        for batch in self.stream(num_samples, seed, num_steps, num_atoms, batch_size, progress, **conditions):
            for index, molecule, note in zip(batch.indices, batch.molecules, batch.notes, strict=True):
                molecules[index], notes[index] = molecule, note
        done = tuple(molecule for molecule in molecules if molecule is not None)
        hydrogens = self.model.statistics.vocabulary.hydrogens
        fixed, steps = conditions.get("fixed"), num_steps or self.model.num_steps
        num_fixed = 0 if fixed is None else len(fixed)
        return Samples(done, seed, steps, self.name, hydrogens, num_fixed, tuple(notes))

    def stream(
        self,
        num_samples: int,
        seed: int = 0,
        num_steps: int | None = None,
        num_atoms: int | Sequence[int] | None = None,
        batch_size: int | None = None,
        progress: bool = True,
        part: Part = ALL,
        **conditions: Unpack[Conditions],
    ) -> Iterator[SampledBatch]:
        """Draw molecules and give each batch, of similar sizes, when it is finished; arguments as in `sample`.

        `part`: which of them, if several processes share the work, or some are there already.
        """
        batches = generate(
            self.model, num_samples, seed, num_steps, num_atoms, batch_size, self.bfloat16, part, **conditions
        )
        done = len(part.done) * part.num_ranks  # an estimate of what all processes have, from what this one has
        bar = tqdm(total=num_samples, initial=done, unit="molecule", desc="sampling", disable=not progress)
        with bar:
            for batch in batches:
                yield batch
                bar.update(min(len(batch.indices) * part.num_ranks, num_samples - bar.n))

    def optimize(
        self,
        ligand: str | Path | Chem.Mol,
        objective: str | Objective,
        generations: int = 10,
        population: int = 32,
        noise_level: float = 0.5,
        seed: int = 0,
        num_steps: int | None = None,
        batch_size: int | None = None,
        progress: bool = True,
        **conditions: Unpack[Conditions],
    ) -> Iterator[Generation]:
        """Improve a molecule: noise it part of the way, denoise it again, keep the best, and so on.

        Gives each generation when it is finished; the last one holds the best molecules of all, the best first. The
        number of atoms stays as it is.

        Args:
            ligand: a molecule with coordinates, or its .sdf file; with its hydrogens, if the model
                makes them.
            objective: "qed", "sa", or what `moldiff.metrics.objectives.objective` gives, or one of your own.
            generations: rounds of drawing and choosing.
            population: molecules that are drawn in each; the best quarter of so many has children in the next.
            noise_level: how far molecules are noised, between 0 and 1: the nearer to 0, the more they stay as they are.
            seed: of the noise; the same seed gives the same molecules.
            num_steps: sampling steps for a molecule from pure noise, of which a part is taken; the model's default if
                None.
            batch_size: molecules that are denoised together; 128 if None, 512 on a GPU.
            progress: show a progress bar.
            conditions: `site`, best made with the ligand as reference, `guides`, `avoid_clashes` (see `Conditions`).

        Raises:
            ValueError: if the ligand cannot be read or is not valid, or the model does not know its elements.
        """
        aim = find_objective(objective) if isinstance(objective, str) else objective
        steps = num_steps or self.model.num_steps
        hydrogens = self.model.statistics.vocabulary.hydrogens

        def judge(arrays: MoleculeArrays, index: int, generation: int) -> Candidate | None:
            bar.update(index >= 0)
            mol = self.record(arrays, index, seed, steps)
            with rdBase.BlockLogs():
                clean = sanitized(mol) if mol.GetIntProp("moldiff_valid") else None
                value = None if clean is None else aim.function(Chem.RemoveHs(clean))
            if clean is None or value is None or not np.isfinite(value):
                return None
            for key, text in (("generation", generation), ("objective", aim.name), ("value", f"{value:.6g}")):
                mol.SetProp(f"moldiff_{key}", str(text))
            return Candidate(index, arrays, mol, canonical_smiles(clean), value, aim.better(value))

        with tqdm(total=generations * population, unit="molecule", desc="optimizing", disable=not progress) as bar:
            settings = (generations, population, noise_level, seed, num_steps, batch_size, self.bfloat16)
            yield from optimise(self.model, _read(ligand, hydrogens), judge, *settings, **conditions)

    def trajectory(
        self,
        index: int = 0,
        seed: int = 0,
        num_steps: int | None = None,
        num_atoms: int | None = None,
        **conditions: Unpack[Conditions],
    ) -> Trajectory:
        """Draw one of the molecules of `sample`, not steered, and keep its way from noise to data."""
        made = trace(self.model, index, seed, num_steps, num_atoms, self.bfloat16, **conditions)
        return replace(made, title=f"{self.name}-seed{seed}-{index}")

    def record(
        self,
        arrays: MoleculeArrays,
        index: int,
        seed: int,
        num_steps: int,
        num_fixed: int = 0,
        notes: Mapping[str, str] = MappingProxyType({}),
    ) -> Chem.Mol:
        """A molecule that this model has drawn, as it is written to files."""
        hydrogens = self.model.statistics.vocabulary.hydrogens
        return record(arrays, index, seed, num_steps, self.name, hydrogens, num_fixed, notes)

    def write(
        self,
        batches: Iterable[SampledBatch],
        writer: MoleculeWriter,
        seed: int,
        num_steps: int,
        num_fixed: int = 0,
        common: Mapping[str, str] = MappingProxyType({}),
    ) -> int:
        """Write the molecules of `stream` in a thread, while the next batch is drawn; `common`: notes on all of them.

        Returns:
            How many of them pass the strict rule.
        """

        def write(batch: SampledBatch) -> int:
            valid = 0
            for index, molecule, notes in zip(batch.indices, batch.molecules, batch.notes, strict=True):
                mol = self.record(molecule, index, seed, num_steps, num_fixed, {**common, **notes})
                writer.write(mol, place=index)
                valid += mol.GetIntProp("moldiff_valid")
            return valid

        with ThreadPoolExecutor(1) as thread:
            return sum(count.result() for count in _one_ahead(thread.submit(write, batch) for batch in batches))

    def fixed(self, fragment: str | Path | Chem.Mol, anchors: Sequence[int] | None = None) -> FixedAtoms:
        """Atoms to keep, to give to `sample`: a scaffold to decorate, a fragment to grow, fragments to link.

        Args:
            fragment: a molecule with coordinates, or its .sdf file, in one or more pieces. Where a
                hydrogen is missing or a bond was cut, the rest of the molecule is joined; hydrogens that are given
                stay. Models without hydrogens leave them out.
            anchors: numbers, from 1 as in the file, of the atoms that may get new bonds; if None, all with a free
                valence.

        Raises:
            ValueError: if the fragment cannot be read, the model does not know its elements, or it cannot grow.
        """
        return fix_atoms(fragment, self.model.statistics.vocabulary, anchors)

    def site(
        self,
        pocket: str | Path | Pocket,
        reference_ligand: str | Path | Chem.Mol | None = None,
        centre: Sequence[float] | None = None,
    ) -> Site:
        """A place in a pocket, as this model sees it, to give to `sample`.

        Args:
            pocket: .pdb or .cif file of a protein or a pocket.
            reference_ligand: a molecule in the same frame, or its .sdf file: new ones get its place and size.
            centre: the mean position (x, y, z) of the new molecules' heavy atoms, Å, if there is no reference ligand.

        Raises:
            ValueError: if the model takes no pocket, a file cannot be read, not exactly one of ligand and centre is
                given, or no protein atom is near.
        """
        encoder = getattr(self.model.denoiser, "pocket_encoder", None)
        if encoder is None:
            raise ValueError(f"the model {self.name!r} takes no pocket: train one that does, see configs/pocket.yaml")
        return find_site(pocket, encoder.level, reference_ligand, centre)

    def save_pretrained(self, folder: str | Path, card: str = "") -> None:
        """Write the model folder: `model.safetensors`, `config.yaml`, `card.md`, and `regressor` if there is one.

        Raises:
            FileExistsError: if the folder exists.
        """
        write_model(self.model, Path(folder), card or f"# {self.name}\n\nNo description was given.\n")


def _one_ahead(futures: Iterable[Future[int]]) -> Iterator[Future[int]]:
    """Each future when the next one has been made, so that at most two are under way."""
    last: Future[int] | None = None
    for future in futures:
        if last is not None:
            yield last
        last = future
    if last is not None:
        yield last


def _read(ligand: str | Path | Chem.Mol, hydrogens: bool) -> MoleculeArrays:
    """A molecule as the model sees it."""
    mol = ligand if isinstance(ligand, Chem.Mol) else read_molecule(ligand)
    with rdBase.BlockLogs():
        clean = sanitized(mol)
    if clean is None:
        raise ValueError(f"{ligand}: RDKit rejects the molecule; expected a valid one")
    return from_mol(clean, hydrogens)
