"""Work that is killed at a random moment goes on, or starts again, as if nothing had been."""

import os
import subprocess
import sys

import pytest

from benchmarks.faults import KINDS

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")]


@pytest.mark.parametrize("kind", KINDS)
def test_killed_work_loses_and_doubles_nothing(kind, root, environment):
    command = [sys.executable, "-m", "benchmarks.faults", "--trials", "30", "--kinds", kind]
    path = os.pathsep.join(filter(None, [str(root), environment.get("PYTHONPATH")]))
    done = subprocess.run(command, cwd=root, env={**environment, "PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
