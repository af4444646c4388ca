"""The command line: lists the commands, catches every error in one place, and alone sets exit codes.

0 done · 1 the run failed for a reason that the user can mend · 2 the command line or the experiment file is wrong ·
3 a bug in kerasrun · 130, 143 interrupted.
"""

import contextlib
import errno
import functools
import gc
import importlib
import io
import itertools
import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
import typer.main
from typer.core import TyperGroup

from kerasrun import commands, stderr
from kerasrun.commands._spellings import Command, command_meant
from kerasrun.errors import MORE_MEMORY, KerasrunError, LostWorkerError, StdoutError, UsageError, within_memory
from kerasrun.families import members
from kerasrun.training.stopping import signals
from kerasrun.version import VERSION
from kerasrun.workers import channel
from kerasrun.workers.child_processes import exit_code

BUG = 3
_OF_THE_SYSTEM = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE),
    *(errno.ENAMETOOLONG, errno.ELOOP, errno.EMFILE, errno.ENFILE, errno.EAGAIN),
}


class _Commands(Mapping[str, Any]):
    """The commands by name, in the order of the help; each is imported when it is asked for."""

    _names = members(commands.__path__)

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        return _command(name)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._names, key=lambda name: _module(name).ORDER))

    def __len__(self) -> int:
        return len(self._names)


def _module(name: str) -> Any:
    return importlib.import_module(f"{commands.__name__}.{name}")


@functools.cache
def _command(name: str) -> Any:
    module = _module(name)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(rich_help_panel=module.GROUP, cls=Command)(getattr(module, name))
    return typer.main.get_command(alone)


class _InGroups(TyperGroup):
    """The commands, which the help lists under the name of their group."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands: Any = _Commands()

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a list of commands for each group."""
        for group, named in itertools.groupby(self.commands.items(), lambda item: item[1].rich_help_panel):
            with formatter.section(group):
                formatter.write_dl([(name, (command.help or "").partition("\n\n")[0]) for name, command in named])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; one that does not exist is answered with the one that was meant."""
        if args[0] not in self.commands and not args[0].startswith("-"):
            ctx.fail(f"no command '{args[0]}'; {command_meant(args[0], list(self.commands))}")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="kerasrun",
    cls=_InGroups,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"kerasrun {VERSION}")
        raise typer.Exit


@app.callback()
def kerasrun(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only warnings and errors.")] = False,
) -> None:
    """Train Keras models from a YAML file: exact resume, evaluation and prediction.

    Results go to stdout, progress and messages to stderr. `kerasrun COMMAND -h` explains a command.
    """
    if quiet:
        for handler in logging.getLogger("kerasrun").handlers:
            handler.setLevel(logging.WARNING)  # not the logger's own: log.txt is never quiet


def _explain_system(error: Exception) -> None:
    """
    Raises:
        UsageError: if the working directory is gone, which every relative path begins with.
        KerasrunError: if no temporary folder can be written, which TensorFlow needs; or for what the system refuses
            whatever the program is: a name that is too long, too many open files, a disk that is read-only.
    """
    if isinstance(error, FileNotFoundError):
        try:
            Path.cwd()
        except FileNotFoundError:
            raise UsageError("the working directory was removed; change to another one with cd") from error
        import tempfile

        try:
            tempfile.gettempdir()
        except FileNotFoundError:
            raise KerasrunError("no temporary file can be written; free some room, or set TMPDIR") from error
    if isinstance(error, OSError) and error.errno in _OF_THE_SYSTEM:
        where = "" if error.filename is None else f"{error.filename}: "
        raise KerasrunError(f"{where}{error.strerror}") from error


def main() -> None:
    """Run the command line and end the process with its exit code."""
    _open_missing_streams()
    stderr.show()
    stderr.LOGGER.propagate = False
    sys.stdout, sys.stderr = _wrapped(sys.stdout, _Stdout), _wrapped(sys.stderr, stderr.Stderr)
    try:
        signals.interrupt_on_signals()
        channel.begin()
        try:
            with within_memory(" ".join(["kerasrun", *sys.argv[1:3]]), MORE_MEMORY):
                app()
        except Exception as error:
            signals.raise_if_interrupted()
            _explain_system(error)
            raise
        finally:
            sys.stdout.flush()
    except LostWorkerError as error:
        if channel.is_open():  # a parent tells who was lost
            channel.tell(missed=str(error))
        else:
            print(f"{_prefix(error)}{error}", file=sys.stderr)
        # TensorFlow would wait for the others as it ends. A cluster that starts jobs again does so after a signal.
        os._exit(error.exit_code if channel.is_open() else exit_code(signal.SIGTERM))
    except KerasrunError as error:
        print(f"{_prefix(error)}{error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt as interruption:
        sys.exit(_interrupted(interruption))
    except SystemExit as end:
        if cause := _behind(end):
            sys.exit(_interrupted(cause))
        raise
    except BrokenPipeError:
        sys.exit(1)  # the reader of stdout (head, less) has seen enough
    except Exception as error:  # noqa: BLE001  the one place where a bug ends
        print(_bug_report(error), file=sys.stderr)
        sys.exit(BUG)
    finally:
        # The process ends here. Collecting TensorFlow's objects one by one would take it another half second.
        gc.freeze()


def _open_missing_streams() -> None:
    """Give the process the three streams where it was started without (`2>&-`): the next file would be taken for them.

    What goes to a closed stderr is lost; to write to a closed stdout is an error.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
            setattr(sys, name, open(descriptor, "r" if name == "stdin" else "w", closefd=False))  # noqa: SIM115


def _wrapped(stream: TextIO, wrapper: type[stderr.Shown]) -> TextIO:
    return wrapper(stream) if isinstance(stream, io.TextIOWrapper) else stream


class _Stdout(stderr.Shown):
    """Stdout, which a full disk behind it makes an error that the user can mend."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        if isinstance(stream.buffer, io.RawIOBase):  # PYTHONUNBUFFERED: it takes a part, and the rest is lost unsaid
            encoding, lines = stream.encoding, stream.line_buffering
            raw: Any = stream.detach()
            stream = io.TextIOWrapper(io.BufferedWriter(raw), encoding, line_buffering=lines)
        super().__init__(stream)

    def write(self, text: str) -> int:
        with self._explained():
            return super().write(text)

    def flush(self) -> None:
        with self._explained():
            super().flush()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python fails again when it ends
            if isinstance(error, BrokenPipeError):
                raise
            raise StdoutError(f"stdout: {error.strerror}; what was printed is not complete") from error


def _prefix(error: KerasrunError) -> str:
    """Problems of a file begin with their place, so that editors can jump there."""
    return "" if error.exit_code == 2 or error.exit_code > 128 else "error: "


def _behind(end: SystemExit) -> KeyboardInterrupt | None:
    """The interruption that Typer made an exit code of, which knows no other signal than Ctrl-C."""
    cause: BaseException | None = end
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__context__
    return cause


def _interrupted(interruption: KeyboardInterrupt) -> int:
    number = signals.number_of(interruption)
    print(signals.Stopped(number), file=sys.stderr)
    return exit_code(number)


def _bug_report(error: Exception) -> str:
    import tempfile

    report = f"kerasrun {VERSION}, Python {sys.version}\n{sys.argv}\n\n{traceback.format_exc()}"
    try:
        with tempfile.NamedTemporaryFile("w", prefix="kerasrun-", suffix=".txt", delete=False) as file:
            file.write(report)
        where = f"the file {Path(file.name)} "
    except OSError:  # the disk is full
        where = f"this:\n\n{report}\n"
    return (
        f"this is a bug in kerasrun {VERSION}: {type(error).__name__}: {error}\n"
        f"Please report it with {where}; if training had begun, the run's log.txt has it too."
    )
