"""`qgjob version`."""

from __future__ import annotations

from typing import Any

from qgjob import __version__
from qgjob.api.constants import GROUP, VERSION
from qgjob.cli.session import Session, new_app, with_session

app = new_app()

#: A person who asks for versions wants an answer also where the cluster is away.
_TIMEOUT_SECONDS = 5.0


@app.command()
@with_session
def version(session: Session) -> None:
    """Show the versions of qgjob here and in the cluster."""
    row: dict[str, Any] = {"client": __version__, "client_api": f"{GROUP}/{VERSION}"}
    row |= _cluster(session)

    def table() -> None:
        from qgjob.cli import tables

        words = {
            "client": "qgjob",
            "client_api": "qgjob's API",
            "server": "Cluster",
            "kubernetes": "Kubernetes",
            "server_api": "The cluster's API",
            "operator": "Operator",
            "problem": "Problem",
        }
        tables.print_fields({words[key]: value for key, value in row.items()})

    session.emit(row, table)


def _cluster(session: Session) -> dict[str, Any]:
    """What the cluster says of itself, or why it says nothing."""
    from qgjob.cli.failures import INSTALL_HINT
    from qgjob.client import ApiError, ClientError

    try:
        client = session.client
        row: dict[str, Any] = {"server": client.server}
        row["kubernetes"] = client.request("GET", "/version", timeout=_TIMEOUT_SECONDS)["gitVersion"]
        group = client.request("GET", f"/apis/{GROUP}", timeout=_TIMEOUT_SECONDS)
        row["server_api"] = ", ".join(each["groupVersion"] for each in group["versions"])
    except ApiError as error:
        if error.is_not_found:
            return {**row, "problem": f"qgjob isn't installed in this cluster: {INSTALL_HINT}"}
        return {"problem": str(error)}
    except ClientError as error:
        return {"problem": str(error)}
    return row | _operator(session)


def _operator(session: Session) -> dict[str, str]:
    """The operator's image tag, where this user may see its Deployment."""
    from qgjob.client import ClientError

    try:
        deployments = session.client.list(
            "deployments",
            namespace="qgjob-system",
            api_version="apps/v1",
            timeout=_TIMEOUT_SECONDS,
        )
        images = [
            container["image"]
            for deployment in deployments
            for container in deployment["spec"]["template"]["spec"]["containers"]
        ]
    except ClientError:
        return {}
    return {"operator": ", ".join(images)} if images else {}
