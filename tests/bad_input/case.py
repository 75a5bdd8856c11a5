"""One broken input: files, and the command that is given them."""

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures"
COMPLEX = FIXTURES / "pockets" / "complexes" / "2ayw_ben"

Content = bytes | Callable[[], bytes]


@dataclass(frozen=True)
class Case:
    """A command in a folder that holds some files.

    It must end with exit code 2 and a message that names `named`; or, if `skips` is given, with 0 and a word on what it
    left out that matches this pattern.
    """

    name: str
    arguments: tuple[str, ...]
    files: Mapping[str, Content] = field(default_factory=dict)
    named: str = ""
    skips: str = ""
    needs_model: bool = False  # whether the folder holds a whole model, `model`, and its checkpoint, `model.ckpt`
    change: Callable[[Path], None] | None = None  # what is done to the folder at last

    def write(self, folder: Path) -> None:
        """Write the files into a folder."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content() if callable(content) else content)
        if self.change is not None:
            self.change(folder)


def cut(whole: bytes, parts: int) -> dict[str, bytes]:
    """The beginnings of a file, cut off within each of `parts` equal parts, and an empty one."""
    ends = [len(whole) * k // (parts + 1) for k in range(parts + 1)]
    return {f"cut off at {end}": whole[:end] for end in ends}


def no_text(whole: bytes) -> dict[str, bytes]:
    """A text of ASCII letters as other programs and accidents would write it, so that it cannot be read."""
    text = whole.decode()
    return {
        "blank": b" \n\n\n",
        "UTF-16": text.encode("utf-16"),
        "zero bytes": bytes(1000),
        "noise": bytes(range(256)) * 8,
        "one line": text.replace("\n", " ").encode(),
    }


def same_text(whole: bytes) -> dict[str, bytes]:
    """A text as other programs write it, which must be read as if nothing were the matter."""
    text = whole.decode()
    return {
        "byte order mark": text.encode("utf-8-sig"),
        "line ends of Windows": text.replace("\n", "\r\n").encode(),
        "line ends of old Macs": text.replace("\n", "\r").encode(),
    }


def bomb() -> bytes:
    """A small gzip file that unpacks to 110 MB: a packed megabyte of zeros, again and again."""
    return gzip.compress(bytes(1_000_000)) * 110
