"""Keys, links, and what a store may touch; a volume as a store."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from qgjob.api.artifacts import Place
from qgjob.api.stores import Artifacts
from testrunner.artifacts.base import Scope
from testrunner.artifacts.volume import VolumeStore
from testrunner.drivers.base import InfrastructureError, Stopped
from testrunner.stop import StopToken

if TYPE_CHECKING:
    from pathlib import Path

S3 = {"bucket": "tests", "endpoint": "https://minio.example.com"}
KEY = "mobile/pixels/2026-11-24/login-1-0a1b2c3d/2/"


def place(**artifacts: Any) -> Place:
    return Place.of(artifacts or {"s3": S3}, "mobile", "pixels")


def scope(retention_days: int | None = 30, today: date = date(2026, 11, 24)) -> Scope:
    claim = {"persistentVolumeClaim": {"claimName": "results"}, "retentionDays": retention_days}
    return Scope.of(Artifacts.model_validate(claim), "mobile", "pixels", lambda: today)


def key_of(where: Place) -> str:
    uid = "0a1b2c3d-1111-2222-3333-444455556666"
    return where.key(started="2026-11-24T23:59:59Z", job="login-1", uid=uid, attempt=2)


def test_a_key_has_the_target_before_the_day() -> None:
    assert key_of(place()) == f"qgjob/{KEY}"
    assert key_of(place(s3={**S3, "prefix": "a/b/"})) == f"a/b/{KEY}"
    assert key_of(place(s3={**S3, "prefix": ""})) == KEY
    assert key_of(place(persistentVolumeClaim={"claimName": "results"})) == KEY


@pytest.mark.parametrize(
    ("artifacts", "link"),
    [
        ({"s3": S3}, f"https://minio.example.com/tests/qgjob/{KEY}"),
        ({"s3": {"bucket": "t"}}, f"https://s3.us-east-1.amazonaws.com/t/qgjob/{KEY}"),
        ({"s3": {"bucket": "t", "region": "eu-west-1"}}, f"https://s3.eu-west-1.amazonaws.com/t/qgjob/{KEY}"),
        ({"s3": S3, "linkUrl": "https://look.example.com/x/"}, f"https://look.example.com/x/qgjob/{KEY}"),
        ({"persistentVolumeClaim": {"claimName": "results"}}, f"pvc://results/{KEY}"),
    ],
)
def test_the_link_is_where_people_find_it(artifacts: dict[str, Any], link: str) -> None:
    where = place(**artifacts)

    assert where.link(key_of(where)) == link


def test_a_link_that_no_status_could_hold_is_left_out() -> None:
    where = place(s3=S3, linkUrl="https://look.example.com/" + "x" * 480)

    assert where.link(where.key(started="2026-11-24T00:00:00Z", job="j" * 253, uid="u" * 36, attempt=1)) != ""
    assert where.link("k" * 600) == ""


@pytest.mark.parametrize(
    "key",
    [
        "other/pixels/2026-11-24/a-1/1/",
        "mobile/tablets/2026-11-24/a-1/1/",
        "mobile/pixels/2026-11-24/a-1/1",
        "mobile/pixels/2026-11-24/../1/",
        "mobile/pixels/2026-11-24/a-1/1/more/",
        "mobile/pixels/latest/a-1/1/",
        "mobile/pixels/2026-11-24//1/",
    ],
)
def test_a_key_of_somebody_else_is_refused(tmp_path: Path, key: str) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(InfrastructureError, match="no key of an attempt"):
        VolumeStore(tmp_path / "volume", scope()).store(key, tmp_path / "in", stop=StopToken(), log=print)


def test_a_volume_keeps_the_files_and_the_second_time_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "in" / "html").mkdir(parents=True)
    (tmp_path / "in" / "html" / "index.html").write_text("<p>")
    volume = tmp_path / "volume"
    store = VolumeStore(volume, scope())

    for _ in range(2):
        store.store(KEY, tmp_path / "in", stop=StopToken(), log=print)

    assert [str(path.relative_to(volume)) for path in volume.rglob("*") if path.is_file()] == [
        f"{KEY}html/index.html"
    ]


def test_a_stop_leaves_no_half_of_an_attempt(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "log.txt").touch()
    stop = StopToken()
    stop.request("over")

    with pytest.raises(Stopped):
        VolumeStore(tmp_path / "volume", scope()).store(KEY, tmp_path / "in", stop=stop, log=print)

    assert [path for path in (tmp_path / "volume").rglob("*") if path.is_file()] == []
    assert not (tmp_path / "volume" / KEY).exists()


def test_only_old_days_of_the_own_target_are_pruned(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    for folder in (
        "mobile/pixels/2026-10-24/a-1/1",  # 31 days ago
        "mobile/pixels/2026-10-25/a-1/1",  # 30 days ago
        "mobile/pixels/latest/a-1/1",
        "mobile/tablets/2020-01-01/a-1/1",
        "other/pixels/2020-01-01/a-1/1",
    ):
        (volume / folder).mkdir(parents=True)
        (volume / folder / "log.txt").touch()
    said: list[str] = []

    VolumeStore(volume, scope(30)).prune(stop=StopToken(), log=said.append)

    assert sorted(str(path.relative_to(volume)) for path in volume.glob("*/*/*")) == [
        "mobile/pixels/2026-10-25",
        "mobile/pixels/latest",
        "mobile/tablets/2020-01-01",
        "other/pixels/2020-01-01",
    ]
    assert said == ["deleted the artifacts below mobile/pixels/2026-10-24 (artifacts.retentionDays)"]


def test_without_retention_nothing_is_pruned(tmp_path: Path) -> None:
    old = tmp_path / "mobile" / "pixels" / "2020-01-01"
    old.mkdir(parents=True)

    VolumeStore(tmp_path, scope(None)).prune(stop=StopToken(), log=print)

    assert old.exists()
