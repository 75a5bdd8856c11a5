"""Broken models and configs: YAML, safetensors, checkpoints."""

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file, save_file

from tests.bad_input.case import Case, cut

SAMPLE = ("sample", "--model", "model", "--num_samples", "1", "--num_steps", "1", "--out", "new.sdf")
CONFIG, WEIGHTS = "model/config.yaml", "model/model.safetensors"


class Evil:
    """Makes a file when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("executed",)


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _yaml()
    yield from _settings()
    yield from _weights()
    yield from _checkpoints()
    yield from _runs()


def bombs() -> dict[str, bytes]:
    """YAML that is small and stands for much, and YAML that is none."""
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    laughs += "".join(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, 12))
    merges = "a0: &a0 {x: 1}\n" + "".join(
        f"a{k}: &a{k} {{<<: [{', '.join([f'*a{k - 1}'] * 9)}]}}\n" for k in range(1, 12)
    )
    return {
        "empty": b"",
        "aliases of aliases": laughs.encode(),
        "merges of merges": merges.encode(),
        "an alias of itself": b"spec: &s [*s]\nstatistics: *s\n",
        "brackets in brackets": b"[" * 3_000,
        "a tag of Python": b"!!python/object/apply:os.mkdir [executed]\n",
        "a number of 9000 digits": b"spec: " + b"9" * 9000 + b"\n",
        "wrong tags": b"spec: !!bool maybe\nstatistics: !!timestamp never\n",
        "an unknown alias": b"spec: *nobody\n",
        "tabs": b"spec:\n\t- 1\n",
        "noise": bytes(range(256)),
        "UTF-16": "spec: {}\n".encode("utf-16"),
        "a list": b"- 1\n- 2\n",
        "a word": b"hello\n",
        "a megabyte": b"x: 1\n" * 200_000,
        "zero bytes": bytes(100),
    }


def _yaml() -> Iterator[Case]:
    for name, content in bombs().items():
        yield Case(f"config of a model: {name}", SAMPLE, {CONFIG: content}, r"config\.yaml", needs_model=True)
    for share in (0.2, 0.5, 0.8):

        def shorten(folder: Path, share: float = share) -> None:
            text = (folder / CONFIG).read_text()
            (folder / CONFIG).write_text(text[: int(share * len(text))])

        yield Case(f"config of a model: {share} of it", SAMPLE, named="model", needs_model=True, change=shorten)


def _settings() -> Iterator[Case]:
    def changed(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
        def apply(folder: Path) -> None:
            config = yaml.safe_load((folder / CONFIG).read_text())
            change(config)
            (folder / CONFIG).write_text(yaml.safe_dump(config))

        return apply

    def denoiser(**values: Any) -> Callable[[dict[str, Any]], object]:
        return lambda c: c["spec"]["denoiser"]["init_args"].update(values)

    def law(**values: Any) -> Callable[[dict[str, Any]], object]:
        return lambda c: c["spec"]["processes"]["pos"]["init_args"].update(values)

    def named(path: Any, **arguments: Any) -> Callable[[dict[str, Any]], object]:
        return lambda c: c["spec"]["denoiser"].update(class_path=path, init_args=arguments)

    changes: dict[str, Callable[[dict[str, Any]], object]] = {
        "class os.system": named("os.system"),
        "class subprocess.Popen": named("subprocess.Popen", args=["mkdir", "executed"]),
        "class of the cli": named("moldiff.cli.main"),
        "a function of ours": named("moldiff.diffusion.model.read_model"),
        "a module of another through ours": named("moldiff.diffusion.model.torch.load"),
        "a class of another through ours": named("moldiff.diffusion.model.Path"),
        "a class that is none": named("moldiff.models.Nobody"),
        "a path as class": named("../../evil.py"),
        "a class of a relative module": named("..models.EGNN"),
        "a class in a text": lambda c: c["spec"].update(denoiser="{class_path: os.mkdir, init_args: {path: x}}"),
        "a key with dots": lambda c: c["spec"].update({"denoiser.class_path": "os.mkdir"}),
        "a foreign sampler": lambda c: c["spec"].update(sampler="os.mkdir"),
        "a foreign schedule": law(schedule={"class_path": "os.mkdir"}),
        "a process where a denoiser should be": named("moldiff.diffusion.GaussianProcess"),
        "an abstract class": named("moldiff.models.Denoiser"),
        "width 0": denoiser(width=0), "width -1": denoiser(width=-1), "width 10^9": denoiser(width=10**9),
        "width 90,000": denoiser(width=90_000), "width in words": denoiser(width="wide"),
        "width NaN": denoiser(width=float("nan")),
        "no blocks": denoiser(num_blocks=0), "10^5 blocks": denoiser(num_blocks=10**5),
        "10^18 blocks": denoiser(num_blocks=10**18),
        "no heads": denoiser(num_heads=0), "three heads": denoiser(num_heads=3),
        "num_steps 0": lambda c: c["spec"].update(num_steps=0),
        "num_steps 10^12": lambda c: c["spec"].update(num_steps=10**12),
        "no processes": lambda c: c["spec"].update(processes={}),
        "an unknown field": lambda c: c["spec"]["processes"].update(colour=c["spec"]["processes"].pop("charges")),
        "processes in a list": lambda c: c["spec"].update(processes=[1, 2]),
        "a scale of zero": law(scale=0.0),
        "a spec of None": lambda c: c.update(spec=None),
        "a date in the spec": lambda c: c["spec"].update(num_steps=__import__("datetime").date(2020, 1, 1)),
        "keys that are numbers": lambda c: c["spec"].update({1: 2}),
        "no sizes": lambda c: c["statistics"].update(sizes={}),
        "sizes of 10^12 atoms": lambda c: c["statistics"].update(sizes={10**12: 1}),
        "sizes of -3 atoms": lambda c: c["statistics"].update(sizes={-3: 1}),
        "no molecules": lambda c: c["statistics"].update(sizes={3: 0}),
        "sizes in words": lambda c: c["statistics"].update(sizes={"three": "many"}),
        "shares that are NaN": lambda c: c["statistics"].update(charges=[float("nan")] * 3),
        "too few shares": lambda c: c["statistics"].update(atom_types=[1.0]),
        "shares of text": lambda c: c["statistics"].update(bond_types="0.25"),
        "a standard deviation of NaN": lambda c: c["statistics"].update(position_std=float("nan")),
        "an unknown element": lambda c: c["statistics"]["vocabulary"]["elements"].append("Xx"),
        "an element twice": lambda c: c["statistics"]["vocabulary"]["elements"].append("C"),
        "a vocabulary in a list": lambda c: c["statistics"].update(vocabulary=[1]),
    }  # fmt: skip
    for name, change in changes.items():
        yield Case(f"settings of a model: {name}", SAMPLE, named="model", needs_model=True, change=changed(change))


def _weights() -> Iterator[Case]:
    def changed(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
        def apply(folder: Path) -> None:
            weights = load_file(folder / WEIGHTS)
            change(weights)
            save_file({k: v.contiguous() for k, v in weights.items()}, folder / WEIGHTS)

        return apply

    def first(weights: dict[str, torch.Tensor]) -> str:
        return min(weights)

    changes: dict[str, Callable[[dict[str, torch.Tensor]], object]] = {
        "one is missing": lambda w: w.pop(first(w)),
        "one is too many": lambda w: w.update(surplus=torch.zeros(3)),
        "none": lambda w: w.clear(),
        "another shape": lambda w: w.update({first(w): torch.zeros(2, 3, 5)}),
        "a single number": lambda w: w.update({first(w): torch.zeros(())}),
        "transposed": lambda w: w.update({k: v.T for k, v in w.items() if v.dim() == 2 and v.shape[0] != v.shape[1]}),
    }
    for name, change in changes.items():
        yield Case(f"weights: {name}", SAMPLE, named="model", needs_model=True, change=changed(change))
    header = json.dumps({"a": {"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 4]}}).encode()
    raw = {
        "a header of 2^63 bytes": (2**63).to_bytes(8, "little") + b"{}",
        "a header that is no JSON": (4).to_bytes(8, "little") + b"nope",
        "a shape of 10^18": len(header).to_bytes(8, "little") + header + bytes(4),
        "a pickle": pickle.dumps(Evil()),
        "a checkpoint": _torch(Evil()),
    }
    for name, content in {**raw, **cut(bytes(8) + b"{}" * 40, 3)}.items():
        yield Case(f"weights: {name}", SAMPLE, {WEIGHTS: content}, "model", needs_model=True)


def _torch(value: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def _checkpoints() -> Iterator[Case]:
    commands = {
        "sample": ("sample", "--model", "x.ckpt", "--num_samples", "1", "--out", "new.sdf"),
        "export": ("export", "--checkpoint", "x.ckpt", "--out", "new"),
    }
    contents = {
        "empty": b"",
        "noise": bytes(range(256)) * 4,
        "a pickle": pickle.dumps(Evil()),
        "a list": _torch([1, 2]),
        "a tensor": _torch(torch.zeros(3)),
        "an evil object": _torch(Evil()),
        "a zip of other things": _zipped("a.txt", b"x"),
        "a zip bomb": _zipped("archive/data.pkl", bytes(110_000_000)),
    }

    def changed(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
        def apply(folder: Path) -> None:
            saved = torch.load(folder / "model.ckpt", weights_only=True)
            change(saved)
            torch.save(saved, folder / "x.ckpt")

        return apply

    def shortened(share: float) -> Callable[[Path], None]:
        def apply(folder: Path) -> None:
            data = (folder / "model.ckpt").read_bytes()
            (folder / "x.ckpt").write_bytes(data[: int(share * len(data))])

        return apply

    changes: dict[str, Callable[[dict[str, Any]], object]] = {
        "no weights": lambda s: s.pop("state_dict"),
        "weights of None": lambda s: s.update(state_dict=None),
        "weights that are text": lambda s: s["state_dict"].update({"denoiser.x": "text"}),
        "an evil object inside": lambda s: s.update(extra=Evil()),
        "settings of None": lambda s: s.update(hyper_parameters=None),
        "settings in a list": lambda s: s.update(hyper_parameters=[1]),
        "a foreign class": lambda s: s["hyper_parameters"].update(denoiser={"class_path": "os.mkdir"}),
        "statistics of None": lambda s: s.update(statistics=None),
    }
    for command, arguments in commands.items():
        for name, content in contents.items():
            yield Case(f"{command} of a checkpoint: {name}", arguments, {"x.ckpt": content}, r"x\.ckpt")
        for share in (0.1, 0.5, 0.99):
            yield Case(
                f"{command} of a checkpoint: {share} of it",
                arguments,
                named="x.ckpt",
                needs_model=True,
                change=shortened(share),
            )
        for name, change in changes.items():
            yield Case(
                f"{command} of a checkpoint: {name}",
                arguments,
                named="x.ckpt",
                needs_model=True,
                change=changed(change),
            )
    card = ("export", "--checkpoint", "model.ckpt", "--out", "new", "--card", "card.md")
    yield Case("export: a card that is no text", card, {"card.md": bytes(range(256))}, r"card\.md", needs_model=True)


def _zipped(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def _runs() -> Iterator[Case]:
    """Configs of `moldiff fit`; few, since its parser takes long to make."""
    for name in (
        "aliases of aliases",
        "merges of merges",
        "an alias of itself",
        "brackets in brackets",
        "a tag of Python",
        "noise",
        "a list",
        "a megabyte",
        "wrong tags",
    ):
        yield Case(
            f"fit: config with {name}",
            ("fit", "--config", "x.yaml"),
            {"x.yaml": bombs()[name]},
            r"x\.yaml|config|model",
        )
    yield Case("fit: config that is a folder", ("fit", "--config", "folder"), {"folder/x": b""}, "folder")
    yield Case(
        "validate: a pickle",
        ("validate", "--config", "fit.yaml", "--ckpt_path", "x.ckpt"),
        {"x.ckpt": _torch(Evil())},
        r"x\.ckpt",
        needs_model=True,
    )
