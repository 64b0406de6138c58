"""The command line: find the command, and turn errors into one clear message.

Never shows a bare traceback: a user's failing operation is shown with its own traceback, everything else as one sentence.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from holdfast.errors import HoldfastError, OperationFailed
from holdfast.version import __version__

FAILED = 1
MISUSED = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 0 done, 1 failed, 2 misused, 3 another result than before, 130 interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given in (["--version"], ["-V"]):
        print(f"holdfast {__version__}")
        return 0
    parsed = _parser().parse_args(given)
    try:
        status = int(parsed.run(parsed))
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # whoever reads, as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OperationFailed as error:
        print(f"holdfast: {error}", file=sys.stderr)
        print("\nWhat is finished is kept; the same command tries only what failed.", file=sys.stderr)
        return FAILED
    except HoldfastError as error:
        print(f"holdfast: {error}", file=sys.stderr)
        return FAILED
    except OSError as error:  # of looking at the directory: what a session is refused has an error of its own
        print(f"holdfast: {error}. Check disk and permissions, and try again.", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("\nholdfast: stopped. What is finished is kept; the same command goes on from there.", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    from holdfast.cli import accept, collect, explain, export, ls, run, show, status, unlock, verify

    parser = argparse.ArgumentParser(
        prog="holdfast", description="Computations that never lose, repeat or corrupt a finished result."
    )
    parser.add_argument("-V", "--version", action="version", version=f"holdfast {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, command in (
        ("run", run),
        ("export", export),
        ("status", status),
        ("ls", ls),
        ("show", show),
        ("explain", explain),
        ("accept", accept),
        ("verify", verify),
        ("collect", collect),
        ("unlock", unlock),
    ):
        described = commands.add_parser(
            name,
            help=command.HELP,
            description=command.HELP,
            epilog=command.EXAMPLE,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(described)
        described.set_defaults(run=command.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
