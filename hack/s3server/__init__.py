"""A real S3 server for tests (versitygw), built once a machine from a pinned Go module."""

from hack.s3server.server import S3Server

__all__ = ["S3Server"]
