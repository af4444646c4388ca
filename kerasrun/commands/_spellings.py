"""Spellings that people know from other tools, and the right ones: never the nearest wrong one."""

import logging
import os
from typing import Any

from typer.core import TyperCommand

COMMANDS = {
    **{"fit": "kerasrun train FILE", "run": "kerasrun train FILE", "finetune": "kerasrun train FILE --from RUN"},
    **{"test": "kerasrun evaluate", "eval": "kerasrun evaluate", "score": "kerasrun evaluate"},
    **{"infer": "kerasrun predict", "inference": "kerasrun predict", "classify": "kerasrun predict"},
    **dict.fromkeys(("dry-run", "dryrun", "try"), "kerasrun train FILE --dry-run"),
    **{"continue": "kerasrun resume", "restart": "kerasrun resume", "check": "kerasrun validate FILE"},
    **{
        "lint": "kerasrun validate FILE",
        "new": "kerasrun init",
        "create": "kerasrun init",
        "convert": "kerasrun export",
    },
    **{
        "save": "kerasrun export",
        "show": "kerasrun summary",
        "describe": "kerasrun summary",
        "info": "kerasrun summary",
    },
    **{
        "compare": "kerasrun diff RUN RUN",
        "list": "kerasrun runs",
        "ls": "kerasrun runs",
        "status": "kerasrun runs",
    },
    **{"history": "kerasrun runs", "draw": "kerasrun plot", "graph": "kerasrun plot", "curves": "kerasrun plot"},
    **{"version": "kerasrun --version", "help": "kerasrun --help"},
    **dict.fromkeys(("delete", "remove", "clean", "prune"), "kerasrun rm RUN"),
}
"""The commands of other tools, and what to type for them."""

_OPTIONS = {
    **dict.fromkeys(
        ("-c", "--config", "--cfg", "--yaml", "--file", "--experiment"),
        "the experiment is an argument: kerasrun {command} FILE",
    ),
    **dict.fromkeys(
        ("--resume", "--continue"), "to go on with a run: kerasrun resume [RUN], or kerasrun train FILE --resume"
    ),
    "--gpu": "-s device=gpu, or -s 'device=[0]' for the first one",
    "--gpus": "-s device=gpu, or -s 'device=[0]' for the first one",
    "--cpu": "-s device=cpu",
    "--fp16": "-s precision=mixed_float16",
    "--amp": "-s precision=mixed_float16",
    "--patience": "-s callbacks.EarlyStopping.patience=N, where the experiment has EarlyStopping",
    "--verbose": "-s fit.verbose=2; kerasrun --quiet prints only warnings",
    "-v": "-s fit.verbose=2; kerasrun --version prints the version",
    "--debug": "kerasrun train FILE --dry-run tries everything on one batch",
    "--force": "nothing is written over: each training has a run directory of its own",
    "--overwrite": "nothing is written over: each training has a run directory of its own",
    "--weights": "--from RUN begins with the weights of a run",
    "--checkpoint": "--from RUN begins with the weights of a run; kerasrun resume goes on with one",
    "--format": "--json prints for programs",
    "--help-all": "--help",
}


_OF_TRAINING = ("train", "validate", "preview", "verify", "resume")


def command_meant(name: str, commands: list[str]) -> str:
    """Return what to type in place of a command that does not exist."""
    from kerasrun.text.problems import closest

    if name.endswith((".yaml", ".yml")):
        return f"to train an experiment: kerasrun train {name}"
    if meant := COMMANDS.get(name.lower()):
        return f"the command for it is: {meant}"
    near = closest(name, commands)
    near = near if near and _is_near(name.lower(), near) else None
    return f"did you mean: kerasrun {near}" if near else "kerasrun --help lists the commands"


def option_meant(option: str, command: str, options: list[str]) -> str:
    """Return what to type in place of an option that a command does not have."""
    from kerasrun.experiment.where import not_needed, places_of
    from kerasrun.text.problems import closest

    name = option.lower()
    is_of_training = command in _OF_TRAINING
    if is_of_training and (reason := not_needed(name.lstrip("-"))):
        return reason
    if name in _OPTIONS:
        return _OPTIONS[name].format(command=command)
    underscored = option.replace("_", "-")
    if underscored in options:
        return f"did you mean {underscored}?"
    if is_of_training and name.startswith("--") and (places := places_of(name[2:])):
        return f"the experiment's value is changed with -s {places[0]}=VALUE"
    near = closest(option, [one for one in options if one.startswith("--")]) if len(option) > 3 else None
    if near and _is_near(option, near):
        return f"did you mean {near}?"
    return f"kerasrun {command} --help lists the options"


def _value_meant(written: str) -> str:
    """Return how a `key=value` that stands alone is given to an experiment."""
    from kerasrun.experiment.where import places_of

    key, _, value = written.partition("=")
    places = [key] if "." in key else places_of(key)
    return f"a value of the experiment is changed with -s {places[0] if places else 'KEY.PATH'}={value}"


def _is_near(option: str, other: str) -> bool:
    """Return whether one is a slip of the fingers away from the other, and not another word."""
    import difflib

    return difflib.SequenceMatcher(None, option, other).ratio() >= 0.8


class Command(TyperCommand):
    """A command that answers a wrong option with the right spelling, and takes --quiet as the program does."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Look through the options before Typer does, unless a shell asks for completion."""
        if ctx.resilient_parsing:
            return list(super().parse_args(ctx, args))
        known = {name: option for option in self.get_params(ctx) for name in (*option.opts, *option.secondary_opts)}
        left, words = [], iter(args)
        for word in words:
            name = word.partition("=")[0] if word.startswith("--") else word[:2]
            option = known.get(name)
            if word in ("-q", "--quiet") and option is None:
                for handler in logging.getLogger("kerasrun").handlers:
                    handler.setLevel(logging.WARNING)
                continue
            left.append(word)
            if word == "--":
                left += words
            elif option is None and word.startswith("-") and len(word) > 1:
                shown = name if word.startswith("--") else word
                ctx.fail(f"no option {shown}; {option_meant(shown, self.name or '', [*known, '--quiet'])}")
            elif option is None and "=" in word and self.name in _OF_TRAINING and not os.path.exists(word):  # noqa: PTH110
                ctx.fail(f"unexpected argument {word}; {_value_meant(word)}")
            elif option is not None and word == name and not getattr(option, "is_flag", True):
                left += [value for value in [next(words, None)] if value is not None]
        return list(super().parse_args(ctx, left))
