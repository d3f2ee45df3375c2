"""A stand-in for the type of pyarrow's from which versions before 14.0.1 unpickle code.

https://nvd.nist.gov/vuln/detail/CVE-2023-47248: any file whose schema names that type is enough. Later
versions do not unpickle it. The type is replaced in the whole process, as pandas (since 2.1.4) does it too.
"""

from __future__ import annotations

import functools
from typing import Any, NoReturn

import pyarrow as pa

from include.s3_xcom.errors import FormatError

_NAME = "arrow.py_extension_type"


class _Refused(pa.ExtensionType):
    def __arrow_ext_serialize__(self) -> bytes:
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, *_: Any) -> NoReturn:
        raise FormatError("The stored data has a pickled type of pyarrow, which is not read.")


@functools.cache
def install() -> None:
    """Have pyarrow refuse pickled types, if it would unpickle them, also where others have their stand-in."""
    if hasattr(pa, "PyExtensionType") and not hasattr(pa.PyExtensionType, "set_auto_load"):
        pa.unregister_extension_type(_NAME)
        pa.register_extension_type(_Refused(pa.null(), _NAME))
        pa._hotfix_installed = True  # pandas asks for it, and would replace the type again
