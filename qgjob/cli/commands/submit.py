"""`qgjob submit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qgjob.cli import assembly, submission, views
from qgjob.cli.assembly import Plan, Wish
from qgjob.cli.exits import CliError
from qgjob.cli.session import Output, Session, new_app, paint, print_yaml, warn, with_session

if TYPE_CHECKING:
    from qgjob.cli.packing import Packed
    from qgjob.cli.submission import Submitted

#: How long --wait waits unless it is told.
WAIT_SECONDS = 180.0

app = new_app()


@app.command(no_args_is_help=True)
@with_session
def submit(
    session: Session,
    *,
    test: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH",
            help="A test file of the source, or a quoted pattern over local files: 'tests/**/*.spec.ts'. "
            "Repeatable.",
        ),
    ] = None,
    org_id: Annotated[str | None, typer.Option(metavar="ID", help="The organisation that submits.")] = None,
    app_version_id: Annotated[
        str | None,
        typer.Option(metavar="ID", help="The app version to test; jobs with the same one share an install."),
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="NAME", help="The pool of devices (`qgjob targets`).")
    ] = None,
    priority: Annotated[int | None, typer.Option(help="1 to 10, and 10 runs first; 5 unless given.")] = None,
    max_retries: Annotated[
        int | None, typer.Option(help="Retries after test failures; 3 unless given.")
    ] = None,
    job_id: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Submitting it again with the same content changes nothing. "
            "With several tests each gets ID-<hash of its path>.",
        ),
    ] = None,
    timeout: Annotated[
        int | None,
        typer.Option(metavar="SECONDS", help="Longest run of one attempt; else the target's."),
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="The test's environment; never secrets. Repeatable."),
    ] = None,
    isolation: Annotated[
        str | None,
        typer.Option(
            metavar="clear|reinstall",
            help="Before the test: clear the app's data (unless given), or install the app afresh.",
        ),
    ] = None,
    ttl: Annotated[
        int | None, typer.Option(metavar="SECONDS", help="Delete the job this long after it ended.")
    ] = None,
    source_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Send the files of this folder along (those that git doesn't ignore; 1 MiB packed).",
        ),
    ] = None,
    git: Annotated[
        str | None, typer.Option(metavar="URL", help="The test files are in this git repository.")
    ] = None,
    git_revision: Annotated[
        str | None, typer.Option(metavar="REV", help="Its branch, tag or commit; else HEAD.")
    ] = None,
    git_path: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="The project's folder in the repository.")
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option(
            "--file",
            "-f",
            metavar="FILE",
            help="Submit TestJobs from YAML or JSON, all or none; - is stdin. Those with a name are safe to repeat.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="The server checks, nothing is created; prints the manifests.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Then wait, as `qgjob wait` does.")] = False,
    wait_timeout: Annotated[
        float | None,
        typer.Option(
            "--wait-timeout",
            "--timeout-wait",
            metavar="SECONDS",
            min=0,
            help="How long --wait waits; 180 unless given.",
            show_default=False,
        ),
    ] = None,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="--wait ends at the first job that ends without passing.")
    ] = False,
) -> None:
    """Put tests into the queue.

    Each test becomes a job. In a pipe it prints {"job_id", "status", "details"}, for several tests an array
    of them; with --wait, how they ended.
    """
    wish = Wish(
        tests=test or [],
        org_id=org_id,
        app_version_id=app_version_id,
        target=target,
        priority=priority,
        max_retries=max_retries,
        job_id=job_id,
        timeout=timeout,
        env=env or [],
        isolation=isolation,
        ttl=ttl,
        source_dir=source_dir,
        git=git,
        git_revision=git_revision,
        git_path=git_path,
    )
    if not wait and (wait_timeout is not None or fail_fast):
        raise CliError("--wait-timeout and --fail-fast say how to wait: give --wait, too")
    ids = assembly.job_ids()
    if file and (given := wish.given()):
        raise CliError(f"-f brings its own {', '.join(given)}: give either a file or options")
    plan = (
        assembly.read_manifests(file, session.options.namespace, ids)
        if file
        else assembly.assemble(wish, ids)
    )
    if len(plan.places) > 1:
        submission.check_all(session.client, plan.manifests, plan.places)
    if dry_run:
        _try(session, plan)
        return
    namespaces = {
        manifest["metadata"].get("namespace") or session.client.namespace for manifest in plan.manifests
    }
    if wait and len(namespaces) > 1:
        raise CliError("--wait waits in one namespace, and these are in several: submit them one at a time")
    submitted = _create(session, plan, say=not wait)
    for doubt in (*plan.doubts, *submission.doubts(session.client, plan.manifests)):
        session.note(doubt)
    if wait:
        from qgjob.cli import waiting

        from .wait import wait_and_report

        jobs = [one.job for one in submitted]
        for one in submitted:
            session.note(_sentence(session, one))
        wait_and_report(
            session,
            waiting.Waiting.for_names([views.name(job) for job in jobs], fail_fast=fail_fast),
            selector=waiting.selector_for(jobs),
            namespace=namespaces.pop(),
            timeout=WAIT_SECONDS if wait_timeout is None else wait_timeout,
        )


def _create(session: Session, plan: Plan, *, say: bool) -> list[Submitted]:
    """Create them in their order. Where one is refused, those before it stay, and are told of."""
    from qgjob.client import ApiError

    client = session.client
    sent = submission.send_source(client, plan.packed) if plan.packed else None
    done: list[Submitted] = []
    try:
        for manifest in plan.manifests:
            done.append(submission.create(client, manifest))  # noqa: PERF401 - what was done counts on errors
    except BaseException as error:
        if done:
            _report(session, done)
            warn(f"{len(done)} of {len(plan.manifests)} were submitted, then:")
        elif sent and isinstance(error, (CliError, ApiError)):  # not where the answer to a create was lost
            submission.drop_source(client, sent)
        raise
    finally:
        if plan.packed and done:
            _own_source(session, plan.packed, done)
    if say:
        _report(session, done)
    return done


def _own_source(session: Session, packed: Packed, submitted: list[Submitted]) -> None:
    """Make the files go with the jobs. The jobs are queued in any case, so nobody must lose their ids for it."""
    from qgjob.cli.failures import explain
    from qgjob.client import ClientError

    try:
        submission.own_source(session.client, packed, [one.job for one in submitted])
    except ClientError as error:
        warn(
            f"the jobs are submitted, but their files will not be deleted with them: {explain(error)}\n"
            f"Submit the same again, or delete ConfigMap {packed.name} when they are over"
        )


def _try(session: Session, plan: Plan) -> None:
    """Have the server check what it has not yet, and print what would be sent, fit for `kubectl apply -f`."""
    if len(plan.places) <= 1:
        for manifest in plan.manifests:
            submission.create(session.client, manifest, dry_run=True)
    documents = [plan.packed.config_map()] if plan.packed else []
    documents += plan.manifests
    if session.output is not Output.JSON:
        print_yaml(documents)
        return
    one = documents[0] if len(documents) == 1 else {"apiVersion": "v1", "kind": "List", "items": documents}
    session.emit(one, lambda: None)


def _report(session: Session, submitted: list[Submitted]) -> None:
    """Say what was submitted: JSON for scripts, a line each for people."""

    def table() -> None:
        for one in submitted:
            typer.echo(_sentence(session, one))
        names = [views.name(one.job) for one in submitted]
        if len(names) <= 3:
            session.note(f"follow with: qgjob wait {' '.join(names)}")

    rows = [_view(session, one) for one in submitted]
    session.emit(rows[0] if len(rows) == 1 else rows, table)


def _view(session: Session, one: Submitted) -> dict[str, str]:
    priority = one.job["spec"]["priority"]
    details = (
        f"Job already submitted: {views.details(one.job, session.now())}"
        if one.existed
        else f"Job enqueued to queue:p{priority}"
    )
    return {"job_id": views.name(one.job), "status": views.status_word(one.job), "details": details}


def _sentence(session: Session, one: Submitted) -> str:
    job, spec = one.job, one.job["spec"]
    if one.existed:
        return f"{views.name(job)}  {spec['test']}  already submitted: {views.details(job, session.now())}"
    place = f"{paint('queued', 'blue')} at priority {spec['priority']} for target {spec['target']}"
    return f"{views.name(job)}  {spec['test']}  {place}"
