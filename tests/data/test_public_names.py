import subprocess
import sys

import moldiff.data


def test_all_names_can_be_imported():
    for name in moldiff.data.__all__:
        assert getattr(moldiff.data, name).__name__ == name


def test_batches_do_not_bring_lightning():
    code = "import sys; from moldiff.data import MolBatch; assert 'pytorch_lightning' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_base_class_brings_all_data_modules():
    # Configs name data modules by their short names, which works for subclasses that are imported.
    code = (
        "from moldiff.data import MoleculeDataModule as M; "
        "names = {'ComplexDataModule', 'DrugLikeDataModule', 'MixedDataModule', 'QM9DataModule', 'SDFDataModule', "
        "'ShardDataModule'}; "
        "assert {c.__name__ for c in M.__subclasses__()} == names"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
