"""From options to manifests."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from qgjob.cli import assembly
from qgjob.cli.assembly import Wish
from qgjob.cli.exits import CliError, Exit
from qgjob.cli.identifiers import JobIds


def ids() -> JobIds:
    return JobIds(lambda: 1_800_000_000.0, lambda _: b"\x00" * 4)


def wish(**given: Any) -> Wish:
    needed = {"tests": ["a.ts"], "org_id": "acme", "app_version_id": "1", "target": "phones"}
    return Wish(**{**needed, **given})


def test_a_test_becomes_a_test_job() -> None:
    plan = assembly.assemble(wish(job_id="ci-1", env=["A=b"], timeout=60), ids())

    assert plan.manifests == [
        {
            "apiVersion": "qgjob.dev/v1alpha1",
            "kind": "TestJob",
            "metadata": {"name": "ci-1"},
            "spec": {
                "orgId": "acme",
                "appVersionId": "1",
                "test": "a.ts",
                "target": "phones",
                "priority": 5,
                "maxRetries": 3,
                "timeoutSeconds": 60,
                "env": [{"name": "A", "value": "b"}],
            },
        }
    ]


def test_several_tests_have_several_names() -> None:
    generated = assembly.assemble(wish(tests=["a.ts", "b.ts"]), ids()).manifests
    given = assembly.assemble(wish(tests=["a.ts", "b.ts"], job_id="ci"), ids()).manifests

    assert len({manifest["metadata"]["name"] for manifest in generated}) == 2
    assert [manifest["metadata"]["name"][:3] for manifest in given] == ["ci-", "ci-"]


def test_the_id_of_a_test_stays_when_others_join() -> None:
    two = assembly.assemble(wish(tests=["a.ts", "b.ts"], job_id="ci"), ids()).manifests
    three = assembly.assemble(wish(tests=["0.ts", "a.ts", "b.ts"], job_id="ci"), ids()).manifests

    assert [manifest["metadata"]["name"] for manifest in two] == [
        manifest["metadata"]["name"] for manifest in three[1:]
    ]


def test_a_git_source() -> None:
    [manifest] = assembly.assemble(wish(git="https://x/y.git", git_revision="main"), ids()).manifests

    assert manifest["spec"]["source"] == {"git": {"repository": "https://x/y.git", "revision": "main"}}


def test_local_files_are_packed_and_named_in_the_jobs(tmp_path: Path) -> None:
    (tmp_path / "a.ts").write_text("test")

    plan = assembly.assemble(wish(tests=["*.ts"], source_dir=tmp_path), ids())

    assert plan.packed is not None
    assert plan.manifests[0]["spec"]["source"] == {"configMap": {"name": plan.packed.name}}
    assert plan.manifests[0]["spec"]["test"] == "a.ts"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"org_id": None, "target": None}, "submit needs --org-id, --target"),
        ({"tests": []}, "submit needs --test"),
        ({"priority": 11}, "--priority 11"),
        ({"job_id": "Ci"}, "--job-id 'Ci'"),
        ({"env": ["A"]}, "write it as NAME=value"),
        ({"git_revision": "main"}, "--git-revision needs --git URL"),
        ({"git": "https://x/y.git", "source_dir": Path()}, "give one"),
        ({"tests": ["nothing/*.ts"]}, "matches no file"),
    ],
)
def test_a_mistake_ends_with_exit_code_2(given: dict[str, Any], words: str) -> None:
    with pytest.raises(CliError, match=words) as refusal:
        assembly.assemble(wish(**given), ids())

    assert refusal.value.code is Exit.USAGE


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(CliError) as refusal:
        assembly.assemble(wish(priority=11, max_retries=-1, tests=["../a.ts"]), ids())

    assert len(str(refusal.value).splitlines()) == 3


JOB = """
apiVersion: qgjob.dev/v1alpha1
kind: TestJob
metadata: {METADATA}
spec: {orgId: acme, appVersionId: "1", test: a.ts, target: phones}
"""


@pytest.mark.parametrize(("metadata", "prefix"), [("{}", "1"), ("{generateName: nightly-}", "nightly-1")])
def test_a_manifest_without_a_name_gets_one(
    metadata: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(JOB.replace("{METADATA}", metadata)))

    [manifest] = assembly.read_manifests(["-"], None, ids()).manifests

    assert manifest["metadata"]["name"].startswith(prefix)
    assert "generateName" not in manifest["metadata"]


@pytest.mark.parametrize(
    ("locks", "told"),
    [
        (
            ["pnpm-lock.yaml"],
            "the packages of pnpm-lock.yaml are installed where the runner's image has pnpm or",
        ),
        (
            ["yarn.lock"],
            "the packages of yarn.lock are installed where the runner's image has yarn or corepack",
        ),
        (["yarn.lock", "package-lock.json"], ""),
        ([], ""),
    ],
)
def test_a_source_whose_packages_may_not_be_installed_is_told(
    tmp_path: Path, locks: list[str], told: str
) -> None:
    for name in ("a.ts", "package.json", *locks):
        (tmp_path / name).touch()

    doubts = assembly.assemble(wish(source_dir=tmp_path), ids()).doubts

    assert len(doubts) == bool(told)
    assert all(told in doubt for doubt in doubts)


def test_a_manifest_of_another_namespace_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(JOB.replace("{METADATA}", "{name: a, namespace: one}"))

    with pytest.raises(CliError, match="says namespace 'one', --namespace says 'two'"):
        assembly.read_manifests([str(path)], "two", ids())


def test_all_that_is_wrong_with_files_is_told_at_once(tmp_path: Path) -> None:
    good = tmp_path / "good.yaml"
    good.write_text(JOB.replace("{METADATA}", "{name: a}"))
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"a: \xe9")
    pod = tmp_path / "pod.yaml"
    pod.write_text("apiVersion: v1\nkind: Pod\n")

    with pytest.raises(CliError) as raised:
        assembly.read_manifests(
            [str(good), str(latin), "/nowhere/job.yaml", str(pod), str(good)], None, ids()
        )

    assert str(raised.value).splitlines() == [
        "-f: nothing was submitted:",
        f"  {latin}: no text in UTF-8: unexpected end of data at byte 3",
        "  /nowhere/job.yaml: no such file or directory",
        f"  {pod}: v1 Pod is no qgjob.dev/v1alpha1 TestJob: `kubectl apply -f` takes other resources",
        f"  {good}: the name 'a' is taken by {good}",
    ]
