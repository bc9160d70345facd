"""The program's entry: ``campaignctl`` and ``python -m campaignctl``."""

import gc
import sys


def main() -> None:
    """Run the command line and end the process with its exit code."""
    if sys.argv[1:] in (["--version"], ["-V"], ["version"]):  # answered before anything is imported
        from campaignctl import __version__

        sys.stdout.write(f"campaignctl {__version__}\n")
        sys.exit(0)

    from campaignctl.cli.app import run
    from campaignctl.cli.standard_input import keep_from_engine

    keep_from_engine()
    code = run()
    gc.freeze()  # else the end goes through everything there is for cycles, a fifth of what a short command takes
    sys.exit(code)


if __name__ == "__main__":
    main()
