"""`qgjob artifacts`."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qgjob.cli import waiting
from qgjob.cli.artifacts.stored import Stores
from qgjob.cli.exits import CliError
from qgjob.cli.session import Session, new_app, with_session

if TYPE_CHECKING:
    from qgjob.cli.artifacts.stored import Folder

app = new_app()


@app.command()
@with_session
def artifacts(
    session: Session,
    job_id: Annotated[str, typer.Argument(metavar="ID", help="The job.")],
    attempt: Annotated[
        int | None,
        typer.Option(help="The attempt, as `qgjob status` numbers them; else the newest that has artifacts."),
    ] = None,
    download: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the files into this folder.")
    ] = None,
    image: Annotated[
        str | None,
        typer.Option(help="For artifacts on a volume: the runner's image, where the target names none."),
    ] = None,
) -> None:
    """List or download what a test left: reports, screenshots, videos, logs.

    Artifacts in a bucket are read with the credentials of the target, if you may read its Secret, else with your
    own (AWS_PROFILE, AWS_ACCESS_KEY_ID, …). AWS_ENDPOINT_URL_S3 names the store's URL where yours is another one than
    the runners'. Artifacts on a volume are read through a pod that is made for it and deleted afterwards.
    """
    (job,) = waiting.find(session.client, [job_id], None)
    with Stores(session, image) as stores:
        folder = stores.folder(job, attempt)
        files = folder.files()
        if not files:
            raise CliError(
                f"nothing is stored at {folder.link}: it is on its way still, was deleted (artifacts.retentionDays), "
                "or the store was down, which the message of its TestBatch says"
            )
        rows: list[dict[str, Any]] = [
            {"name": file.name, "size": file.size, "url": folder.url(file.name)} for file in files
        ]
        if download is not None:
            for number, row in enumerate(rows, start=1):
                session.note(f"{number}/{len(rows)} {row['name']} ({_size(row['size'])})")
                row["path"] = str(_fetch(folder, row["name"], download))
    view = {"job_id": job_id, "attempt": folder.attempt, "url": folder.link, "files": rows}
    session.emit(view, lambda: _print(rows))


def _fetch(folder: Folder, name: str, into: Path) -> Path:
    """Write one file below a folder; what is half of it never has its name."""
    path = into / name
    try:
        into.mkdir(parents=True, exist_ok=True)
        # The name is a path inside of a folder; a link that lies there already could still lead out.
        if not path.parent.resolve().is_relative_to(into.resolve()):
            raise CliError(f"{path.parent} leads out of {into}: nothing is written there")
        path.parent.mkdir(parents=True, exist_ok=True)
        # Short, because the file's own name may be as long as a name can be; and no other file's.
        partial = path.with_name(f".{secrets.token_hex(4)}.partial")
        try:
            with partial.open("wb") as file:
                for piece in folder.read(name):
                    file.write(piece)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise CliError(f"{path} can't be written: {error.strerror or error}") from error
    return path


def _print(rows: list[dict[str, Any]]) -> None:
    from qgjob.cli import tables

    where = "path" if "path" in rows[0] else "url"
    tables.print_table(
        ("FILE", "SIZE", where.upper()),
        [(row["name"], _size(row["size"]), row[where]) for row in rows],
        flexible=where.upper(),
    )


def _size(count: int) -> str:
    """'412 B', '3.1 kB', '24.0 MB'."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
