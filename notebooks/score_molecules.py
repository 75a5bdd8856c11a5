# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Draw molecules, look at them, score them
#
# The bundled model was trained on QM9: molecules of up to nine heavy atoms (C, N, O, F) with all their hydrogens.

# %%
import numpy as np
from rdkit import Chem

from moldiff import MoleculeGenerator, evaluate
from moldiff.chem.picture import grid_picture

generator = MoleculeGenerator.from_pretrained("qm9")
samples = generator.sample(20, seed=0, progress=False)
print(f"{len(samples)} molecules in {samples.num_steps} steps")

# %% [markdown]
# `mols` holds sanitized RDKit molecules with coordinates, and None where RDKit refuses one: the list keeps its length.

# %%
good = [mol for mol in samples.mols if mol is not None]
for mol in good[:5]:
    print(Chem.MolToSmiles(Chem.RemoveHs(mol)))

# %%
grid_picture(good[:10], columns=5)

# %% [markdown]
# ## Scores
#
# The EDM rule looks at distances only; the strict rule at the bonds and charges that were drawn. Every share is of all
# requested molecules unless it says otherwise. With twenty molecules the intervals are wide.

# %%
print(samples.report())

# %% [markdown]
# The scores need no model: any list of RDKit molecules will do, with None for what failed.

# %%
report = evaluate([*samples.mols, None], reference="qm9")
print(report.strict.valid.value, report.strict.valid.interval)

# %% [markdown]
# ## Fewer steps, other sizes
#
# The number of steps is free when sampling, and the number of atoms can be given.

# %%
quick = generator.sample(20, seed=0, num_steps=10, num_atoms=15, progress=False)
print(quick.report().strict.valid.value)

# %% [markdown]
# ## Bond lengths
#
# Carbon–hydrogen bonds of QM9 are 1.09 Å long, give or take 0.01 Å.

# %%
lengths = [
    np.linalg.norm(np.subtract(*mol.GetConformer().GetPositions()[[bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()]]))
    for mol in good
    for bond in mol.GetBonds()
    if {bond.GetBeginAtom().GetSymbol(), bond.GetEndAtom().GetSymbol()} == {"C", "H"}
]
print(f"C–H: {np.mean(lengths):.3f} ± {np.std(lengths):.3f} Å over {len(lengths)} bonds")
