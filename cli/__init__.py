"""The command line: parse, call one library function, say what was done and where the files are."""

from __future__ import annotations

import sys
import warnings


def main() -> None:
    """Run ``narcf-geo``: exit code 2 for a wrong question, 1 for a failed run, 0 else."""
    from narcf_geo.cli.app import app
    from narcf_geo.core.errors import NarcfError, first
    from narcf_geo.core.files import disk_failure

    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    if not debug:
        warnings.formatwarning = _sentence
        # Errors that nothing can handle: rasterio does not decode all that GDAL says of a file.
        sys.unraisablehook = lambda _: None
    try:
        app()
    except KeyboardInterrupt:
        _fail("Interrupted; what was finished stays, run again to go on", 130)
    except Exception as raised:
        error = first(raised)
        if debug:
            import traceback

            message = "".join(traceback.format_exception(raised)).rstrip()
        elif isinstance(error, NarcfError):
            message = f"Error: {error}"
        elif said := disk_failure(error):
            place = getattr(error, "filename", None) or "a file"
            message = f"Error: {place}: {said}; see to the disk and run again to go on"
        else:
            kind = type(error).__name__
            message = f"Error: {kind}: {error}\nRun again with --debug for details"
        _fail(message, error.exit_code if isinstance(error, NarcfError) else 1)


def _sentence(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    """Return a warning without the line of code that gave it."""
    return f"Warning: {message}\n"


def _fail(message: str, code: int) -> None:
    from narcf_geo.core.addresses import without_secrets
    from narcf_geo.core.plain import visible

    print(visible(without_secrets(message)), file=sys.stderr)
    sys.exit(code)
