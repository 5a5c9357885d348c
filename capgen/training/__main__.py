"""`python -m capgen.training`: training without the command line's packages.

For machines where only torch and transformers are installed. Prints events as JSON lines.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from capgen.config import TrainConfig, parse_setting, train_config
from capgen.errors import CapgenError, UsageError


def main(argv: Sequence[str] | None = None) -> int:
    """Train as the arguments say; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m capgen.training", description=__doc__)
    parser.add_argument("--preset", default=TrainConfig.preset)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--dataset")
    parser.add_argument("--output-dir", type=Path)
    parser.add_argument("--resume", metavar="RUN", help="go on with a run")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other setting of capgen.config.TrainConfig",
    )
    arguments = parser.parse_args(argv)
    places = ("data_dir", "dataset", "output_dir")
    settings = {name: value for name, value in vars(arguments).items() if name in places and value}
    try:
        for text in arguments.set:
            name, equals, value = text.partition("=")
            if not equals:
                raise UsageError(f"--set {text}: NAME=VALUE is wanted")
            settings[name.replace("-", "_")] = parse_setting(TrainConfig, name, value)
        from capgen.training.run.stop_request import stop_signals
        from capgen.training.run.train import resume, train

        with stop_signals() as stop:
            if arguments.resume:
                events = resume(arguments.resume, stop=stop, **settings)
            else:
                events = train(train_config(arguments.preset, **settings), stop=stop)
            for event in events:
                print(json.dumps(event.to_dict()), flush=True)
    except CapgenError as error:
        print(f"error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
