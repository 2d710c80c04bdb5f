"""Keys and addresses from the environment, or from a file `.env` in the working directory.

Keys are read where they are used and are put nowhere else: no configuration, manifest, message or log holds one.
"""

import os
from pathlib import Path

from assay.core.errors import UsageError

SECRETS = ("OPENAI_API_KEY", "TINKER_API_KEY", "HF_TOKEN")
HONOURED = (*SECRETS, "OPENAI_BASE_URL", "TINKER_BASE_URL")
HIDDEN = "[hidden]"
SHORTEST_SECRET = 6  # shorter ones ("EMPTY", "x") are placeholders, and hiding them would garble every message


def adopt_env_file(directory: Path) -> tuple[str, ...]:
    """Takes the names of `HONOURED` out of `directory/.env` into the environment, and says which.

    What the environment has already stays as it is. Other names are left alone: a file that came with somebody's
    checkout must not be able to change PATH or LD_PRELOAD. UsageError for a file that cannot be read.
    """
    path = directory / ".env"
    if not path.is_file():
        return ()
    taken = {name: value for name, value in read_env_file(path).items() if name in HONOURED and name not in os.environ}
    os.environ.update(taken)
    return tuple(taken)


def read_env_file(path: Path) -> dict[str, str]:
    """The assignments of an environment file: `NAME=value`, `export NAME=value`, values with or without quotes.

    A line that is empty, a comment or no assignment is passed over; nothing is expanded.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8 text") from None
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, separator, value = line.strip().removeprefix("export ").partition("=")
        if separator and name.strip().isidentifier():
            found[name.strip()] = _value(value.strip())
    return found


def _value(text: str) -> str:
    """Inside quotes everything counts; without them a comment begins at a space and a number sign."""
    if text[:1] in ("'", '"') and text.find(text[0], 1) > 0:
        return text[1 : text.find(text[0], 1)]
    return text.partition(" #")[0].strip()


def variable(name: str) -> str | None:
    """The value of an environment variable; None if it is not set or empty."""
    return os.environ.get(name, "").strip() or None


def redacted(text: str) -> str:
    """`text` without any key that the environment holds, for messages and files that quote what others wrote."""
    for name in SECRETS:
        value = variable(name)
        if value is not None and len(value) >= SHORTEST_SECRET:
            text = text.replace(value, HIDDEN)
    return text
