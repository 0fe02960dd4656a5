"""The group of verbs: lazy, forgiving about spelling, clear about errors."""

from __future__ import annotations

import errno
import os
import signal
import sys
from importlib import import_module

import click

from stepwell import __version__
from stepwell.cli.console import fail, say
from stepwell.kit.names import nearest

VERBS = {
    "learn": "Learn an encoder from unlabelled data.",
    "evaluate": "Score a run with a few labels, beside its controls.",
    "finetune": "Learn to tell labels, from as few as there are.",
    "suggest": "Which examples to label next: a CSV to fill in.",
    "predict": "Labels of other data, and how sure they are.",
    "embed": "Vectors of any data, by a run.",
    "search": "Find similar examples.",
    "generate": "Go on with a text as those of a run would.",
    "translate": "Texts in the other language of a run that was learned from pairs.",
    "export": "A run's network for use without stepwell: state dict, ONNX.",
    "views": "Look at the augmentations, on your own data.",
    "steps": "The steps of learning: found, timed, explained, while it goes or after.",
    "theory": "The paper's figures, theory over measurement, on your images.",
    "report": "Write the page of a run anew.",
    "status": "What a run is, in a few lines; or all runs below a folder.",
    "doctor": "Check this machine: cores, libraries, disk, optional parts.",
    "demo": "The whole story on real images, in a minute.",
    "tour": "The ideas, step by step, on your own run, in two minutes.",
}


class Verbs(click.Group):
    """Imports a verb when it is called; suggests the nearest name for a misspelt one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        command: click.Command = import_module(f"stepwell.cli.{name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            raise click.UsageError(
                f"Expected a verb, found {args[0]!r}.{nearest(args[0], VERBS)}"
                f" Verbs: {', '.join(VERBS)}."
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version")
def cli() -> None:
    """Self-supervised learning, one step at a time.

    \b
    stepwell learn photos/ --out runs/photos
    stepwell search runs/photos photos/cat.jpg
    """


def main() -> None:
    """Entry point: 0 fine, 1 failed, 2 wrong use, 130 interrupted."""
    # OpenBLAS threads else spin for 2^26 cycles after every call: a fifth of all CPU time.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "14")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # cleared away after, as Ctrl-C is
    try:
        cli(standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # just `stepwell`
            say(error.format_message())
            sys.exit(0)
        message = error.format_message()
        ctx = getattr(error, "ctx", None)
        hint = f" See `{ctx.command_path} --help`." if ctx else ""
        fail(f"{message}{hint}", 2)
    except (KeyboardInterrupt, click.Abort):
        fail("Interrupted: no half of a run was left behind.", 130)
    except BrokenPipeError:
        sys.exit(0)
    except MemoryError:
        fail("Expected enough memory, found none left: try --preset fast.", 1)
    except OSError as error:
        fail(_about(error), 1)
    except Exception as error:
        # Imported here: numpy comes with it, and `stepwell --help` shall not wait for that.
        from stepwell.interfaces import StepwellError, UsageError

        if not isinstance(error, StepwellError):
            raise
        fail(str(error), 2 if isinstance(error, UsageError) else 1)


def _about(error: OSError) -> str:
    """What a failure of the system means, and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return (
            "Expected room on the disk, found it full, or the file larger than is allowed: "
            "free some, or choose another --out."
        )
    where = f" at {error.filename}" if error.filename else ""
    return (
        f"Expected to read and write freely, found {error.strerror or error}{where}: "
        f"check that the path exists and is yours to use."
    )
