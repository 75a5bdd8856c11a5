"""What must hold for every broken input: an answer soon, and a message that helps."""

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

LIMIT_S = 30  # on a busy machine; most cases take a hundredth of a second
_ADVICE = (
    r"expected|choose|give|copy|write it|mend|export|remove|delete|check|shorten|name it|allow it|make the module",
    "use its",
    r"is it|no such|No protein|not a file|unrecognized|take a hydrogen|correct or",
)


class TooSlowError(BaseException):
    """No command catches it."""


@contextmanager
def limit(seconds: int = LIMIT_S) -> Iterator[None]:
    """Break off what takes longer."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooSlowError(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def check_message(message: str, named: str) -> None:
    """It is short, names the file (a pattern), and says what is expected or what to do."""
    assert len(message) < 1500, message
    assert re.search(named, message), message
    assert re.search("|".join(_ADVICE), message, re.IGNORECASE), message
