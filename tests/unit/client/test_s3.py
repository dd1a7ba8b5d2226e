"""How a bucket is addressed: nothing is sent to find that out."""

from __future__ import annotations

import pytest

from qgjob.client.s3 import s3_client

KEYS = {"accessKeyId": "id", "secretAccessKey": "secret"}


@pytest.mark.parametrize(
    ("endpoint", "begins"),
    [
        # Other stores often know no bucket by a host's name.
        ("https://store.example.org", "https://store.example.org/builds/shop/1.apk?"),
        # AWS takes no bucket by its path that was made of late.
        (None, "https://builds.s3.amazonaws.com/shop/1.apk?"),
    ],
)
def test_a_bucket_is_part_of_the_path_except_at_aws(endpoint: str | None, begins: str) -> None:
    client = s3_client(endpoint, "us-east-1", lambda: KEYS, connect_seconds=1.0, silence_seconds=1.0, tries=1)

    url = client.generate_presigned_url("get_object", Params={"Bucket": "builds", "Key": "shop/1.apk"})

    assert url.startswith(begins)
