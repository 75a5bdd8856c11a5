"""The arguments of a command, by the signature of the function that does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_REPEATED = {  # options that may be given several times
    "molecules": "A .sdf, .sdf.gz, .xyz, .npz or .smi file; up to 6 files.",
}
_SWITCHES = {  # options without a value
    "overwrite": "Replace the output if it exists.",
    "trust_classes": "Load a model that names classes from outside of moldiff, which can run any code.",
    "half": "Keep the weights as float16: half the size, rounded by 0.05 % at most; they are used in float32.",
    "resume": "Go on with what is written: an interrupted run, or for more molecules.",
    "dock": "With --pocket: dock each molecule with AutoDock Vina as well (seconds to minutes for each).",
    "vina": "With --pocket (.pdb): move the molecules to the next minimum of AutoDock Vina's energy, too.",
    "fast": "With --pocket: leave out strain and PoseBusters' internal energy, which take most of the time.",
}


def call(name: str, function: Callable[..., Any], arguments: list[str]) -> None:
    """Parse the arguments of a function by its signature and call it."""
    import jsonargparse

    parser = jsonargparse.ArgumentParser(prog=f"moldiff {name}", description=(function.__doc__ or "").split("\n")[0])
    switches: dict[str | int, str] = {
        name: text for name, text in _SWITCHES.items() if name in function.__annotations__
    }
    repeated = {n: text for n, text in _REPEATED.items() if function.__annotations__.get(n) == "list[str]"}
    parser.add_function_arguments(function, skip={*switches, *repeated})
    for option, text in repeated.items():
        parser.add_argument(f"--{option}", action="extend", nargs="+", required=True, metavar="FILE", help=text)
    for switch, text in switches.items():
        parser.add_argument(f"--{switch}", action="store_true", help=text)
    given = [argument.split("=")[0] for argument in arguments]
    for option in (f"--{name}" for name in _REPEATED.keys() - repeated.keys()):  # of others the last one counts
        if given.count(option) > 1:
            parser.error(f"{option} is given {given.count(option)} times; expected once")
    function(**vars(parser.parse_args(arguments)))
