"""`kerasrun cache`."""

from typing import Annotated

import typer

from kerasrun.commands._options import Json

GROUP, ORDER = "Look at runs and networks", 107


def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove all of it; runs that go on decode again.")] = False,
    as_json: Json = False,
) -> None:
    """List the decoded images that `cache.disk` keeps, the last used first, or remove them.

    Example: kerasrun cache --clear
    """
    import json
    import time
    from dataclasses import asdict

    from kerasrun.errors import RunDirectoryError
    from kerasrun.experiment.units import amount, duration
    from kerasrun.reading.disk_cache import cache_folder, entries
    from kerasrun.stderr import plain

    try:
        folder = cache_folder()
        found = [(entry, entry.described()) for entry in entries(folder)]
        for entry, _ in found if clear else ():
            entry.path.unlink(missing_ok=True)
    except OSError as error:
        raise RunDirectoryError(f"the decoded images cannot be {'removed' if clear else 'listed'}: {error}") from error
    if as_json:
        listed = [
            {"file": str(one.path), "bytes": one.used, "used": one.seconds, **(asdict(told) if told else {})}
            for one, told in found
        ]
        typer.echo(json.dumps(listed, indent=2))
        return
    for entry, told in found:
        data = plain(f"{told.images} images of {told.data}") if told else "of unknown images"
        ago = duration(max(0.0, time.time() - entry.seconds))
        typer.echo(f"{entry.path.stem[:12]}  {amount(entry.used)}  used {ago} ago  {data}")
    said = "freed" if clear else "in all"
    typer.echo(f"{plain(str(folder))}: {amount(sum(entry.used for entry, _ in found))} {said}")
