"""How long `assay --help` takes, as a ratio to an empty Python program and to one that imports torch.

    python benchmarks/startup.py [--rounds N] [--json]

The three take turns; A/A is the empty program against itself.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "empty": [sys.executable, "-c", "pass"],
    "empty again": [sys.executable, "-c", "pass"],
    "assay --help": [sys.executable, "-c", "from assay.cli.main import main; main(['--help'])"],
    "import torch": [sys.executable, "-c", "import torch"],
}


def main() -> None:
    """Prints median seconds, and ratios to the empty program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(options.rounds):
        for name, command in COMMANDS.items():
            started = time.monotonic()
            subprocess.run(command, capture_output=True, check=True)
            seconds[name].append(time.monotonic() - started)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    ratios = {name: median / medians["empty"] for name, median in medians.items()}
    if options.json:
        print(json.dumps({"seconds": medians, "ratio_to_empty": ratios}, indent=1))
        return
    for name, median in medians.items():
        print(f"{name:14} {median:6.3f} s  {ratios[name]:5.1f}x an empty program")


if __name__ == "__main__":
    main()
