"""Keep what lies in LocalStack's bucket in a folder: LocalStack itself forgets all when it stops.

keep_objects.py put-back: put into the bucket what the folder holds. keep_objects.py watch: note what comes
and goes, until the container stops. Objects never change, so a key that is known is known for good.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, os.environ.get("PROJECT_DIR", ""))

from include.s3_xcom.s3.store import Store
from include.s3_xcom.settings import Settings

SECONDS = 2
"""Between two looks at the bucket. What comes in the last of them before LocalStack is killed, is lost."""

PATIENCE = 5
"""The pause is at least so many times what a listing takes: a large bucket is not listed all the time."""

HEADERS = ("Metadata", "ContentType", "ContentEncoding")


class Kept:
    """The bucket's objects, each as a file of its bytes and one of its key and headers."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._s3, self._bucket = store.client, store.settings.bucket
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for unfinished in folder.glob("*.part"):
            unfinished.unlink()
        self._names = {json.loads(path.read_text())["Key"]: path.stem for path in folder.glob("*.json")}

    def put_back(self) -> int:
        """Put into the bucket what is kept.

        :return: how many objects
        """
        for name in self._names.values():
            headers = json.loads((self._folder / f"{name}.json").read_text())
            key = headers.pop("Key")
            with (self._folder / name).open("rb") as body:
                self._s3.upload_fileobj(body, self._bucket, key, ExtraArgs=headers)
        return len(self._names)

    def look(self) -> float:
        """Keep what is new in the bucket, and forget what is gone from it.

        :return: how long the listing took, in seconds
        """
        started = time.monotonic()
        there = {item.key for page in self._store.list("") for item in page}
        took = time.monotonic() - started
        for key in there - self._names.keys():
            self._keep(key)
        for key in self._names.keys() - there:
            name = self._names.pop(key)
            (self._folder / f"{name}.json").unlink()
            (self._folder / name).unlink()
        return took

    def _keep(self, key: str) -> None:
        name = hashlib.sha256(key.encode()).hexdigest()
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=key)
        except self._s3.exceptions.NoSuchKey:  # deleted since
            return
        partial = self._folder / f"{name}.part"
        with partial.open("wb") as file:
            for chunk in answer["Body"].iter_chunks(1024 * 1024):
                file.write(chunk)
        partial.rename(self._folder / name)
        headers = {header: answer[header] for header in HEADERS if answer.get(header)}
        partial.write_text(json.dumps({"Key": key, **headers}))
        partial.rename(self._folder / f"{name}.json")
        self._names[key] = name


def main() -> None:
    # Where boto3 looks by itself. LocalStack asks for no credentials.
    os.environ.update(
        AWS_ACCESS_KEY_ID="any",
        AWS_SECRET_ACCESS_KEY="any",  # noqa: S106
        AWS_DEFAULT_REGION=os.environ["INIT_REGION"],
        AWS_ENDPOINT_URL=os.environ["INIT_ENDPOINT_URL"],
    )
    store = Store(Settings(bucket=os.environ["INIT_BUCKET"], conn_id=""))
    kept = Kept(store, Path(os.environ["INIT_KEEP_IN"]))
    if sys.argv[1] == "put-back":
        print(f"{kept.put_back():,} objects put back", flush=True)
        return
    while True:
        took = 0.0
        try:
            took = kept.look()
        except Exception as error:  # S3 stops, or the disk is full: the next look may tell
            print(f"keep_objects: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        time.sleep(max(SECONDS, PATIENCE * took))


if __name__ == "__main__":
    main()
