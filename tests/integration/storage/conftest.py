"""The S3 server."""

from tests.s3_server import running_s3_server, s3_server

__all__ = ["running_s3_server", "s3_server"]
