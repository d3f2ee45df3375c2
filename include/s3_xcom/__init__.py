"""Large XComs through S3: the machinery beneath :class:`include.s3_xcom_backend.S3XComBackend`."""

from include.s3_xcom.files import File

__all__ = ["File"]
