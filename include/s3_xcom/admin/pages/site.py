"""Pages about the data of XComs: their answers to requests, in any web framework."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import jinja2

from include.s3_xcom import keys
from include.s3_xcom.admin import browse, preview
from include.s3_xcom.admin.look import At, BusyError, LimitedFile, Shown, look
from include.s3_xcom.admin.pages import charts, downloads
from include.s3_xcom.errors import (
    BadReferenceError,
    FormatError,
    ObjectMissingError,
    SettingError,
    StorageError,
    XComError,
)
from include.s3_xcom.keys import KeyId, Owner
from include.s3_xcom.notebook import of_object
from include.s3_xcom.reference import Reference, check, human_size
from include.s3_xcom.s3.store import Store
from include.s3_xcom.settings import Settings

_FOLDER = Path(__file__).parent

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'self'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
}
"""Headers of every answer. The browser runs only the page's script, whatever a value holds."""

_ASSETS = {"style.css": "text/css; charset=utf-8", "theme.js": "text/javascript; charset=utf-8"}

_STATUS: list[tuple[type[XComError], int]] = [
    (ObjectMissingError, 404),
    (BadReferenceError, 404),
    (FormatError, 422),
    (BusyError, 503),
    (SettingError, 500),
    (StorageError, 502),
]


@dataclass(frozen=True)
class Answer:
    """An answer to a request.

    :param body: a page, or the pieces of a download
    """

    status: int
    body: str | Iterator[bytes]
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def all_headers(self) -> dict[str, str]:
        return {"Content-Type": "text/html; charset=utf-8", **HEADERS, **self.headers}


class ForbiddenError(Exception):
    """A request for something that the person may not see."""


class Site:
    """The pages, for the person who asks.

    :param may_read: tells whether that person may read the XComs of a DAG
    :param url: returns the URL of a page of this site, by its name and parameters
    :param task_url: returns the URL of Airflow's page about a task instance
    :param home_url: URL of Airflow's first page
    """

    def __init__(
        self,
        *,
        may_read: Callable[[KeyId], bool],
        url: Callable[..., str],
        task_url: Callable[[Owner], str],
        home_url: str,
    ) -> None:
        self._may_read = may_read
        self._url = url
        self._task_url = task_url
        self._home_url = home_url

    def answer(self, page: str, parameters: Mapping[str, str]) -> Answer:
        """Answer a request.

        :param page: ``listing``, ``object``, ``download`` or ``asset``
        """
        try:
            return getattr(self, f"_{page}")(parameters)
        except ForbiddenError:
            words = "There is no such XCom, or you may not read the XComs of its DAG."
            return self._page(404, "error.html", title="Not found", words=words)
        except XComError as error:
            return self._page(_status_of(error), "error.html", title="This cannot be shown", words=str(error))

    def _asset(self, parameters: Mapping[str, str]) -> Answer:
        name = parameters.get("name", "")
        if name not in _ASSETS:
            raise ForbiddenError
        text = (_FOLDER / "assets" / name).read_text(encoding="utf-8")
        return Answer(200, text, {"Content-Type": _ASSETS[name], "Cache-Control": "max-age=3600"})

    def _listing(self, parameters: Mapping[str, str]) -> Answer:
        store = Store.configured(hasty=True)
        dag, run = parameters.get("dag", ""), parameters.get("run", "")
        word, token = parameters.get("q", ""), parameters.get("token") or None
        if dag:
            self._check(keys.decode_id(dag))
        if run and not dag:
            raise ForbiddenError
        if dag and run:
            page: Any = browse.objects(store, dag, run, word, token)
        elif dag:
            page = browse.runs(store, dag, word, token)
        else:
            page = browse.readable(browse.dags(store, word, token), self._may_read)
        ids = [keys.decode_id(segment) for segment in (dag, run) if segment]
        title = " / ".join(each.text for each in ids) or "XCom data"
        shown = {"title": title, "page": page, "dag": dag, "run": run, "ids": ids, "word": word}
        return self._page(200, "listing.html", where=store.root_address, **shown)

    def _object(self, parameters: Mapping[str, str]) -> Answer:
        key = parameters.get("key", "")
        store = Store.configured(hasty=True)
        self._check_key(key, store.settings)
        row = preview.find_row(key)
        reference = row or of_object(store, key)
        check(reference, store.settings)
        at = At(*(_number(parameters.get(name)) for name in ("row", "column", "element")))
        file = LimitedFile(store, reference, requests=0 if row else 1)
        status, error, shown = 200, None, Shown()
        try:
            shown = look(file, at)
        except XComError as problem:
            status, error = _status_of(problem), str(problem)
        return self._page(
            status,
            "object.html",
            title=_title(reference.owner),
            reference=reference,
            is_referenced=row is not None,
            owner=reference.owner,
            dag=keys.segment_of(key, "dag_id"),
            run=keys.segment_of(key, "run_id"),
            shown=shown,
            error=error,
            at=at,
            file=file,
            task_url=self._task_url(reference.owner),
            is_table=downloads.is_table(reference),
        )

    def _download(self, parameters: Mapping[str, str]) -> Answer:
        key = parameters.get("key", "")
        store = Store.configured()
        self._check_key(key, store.settings)
        reference = preview.find(store, key)
        form = parameters.get("as")
        as_csv = form in ("csv", "spreadsheet")
        pieces = (
            downloads.as_csv(store, reference, form == "spreadsheet")
            if as_csv
            else downloads.as_it_is(store, reference)
        )
        name = quote(_file_name(reference, as_csv), safe="")
        headers = {
            "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
            "Content-Type": "text/csv; charset=utf-8" if as_csv else "application/octet-stream",
        }
        if not as_csv:
            headers["Content-Length"] = str(reference.size)
        return Answer(200, pieces, headers)

    def _check_key(self, key: str, settings: Settings) -> None:
        if not keys.is_key(key, settings) or "\0" in unquote(key):  # the database refuses NUL
            raise ForbiddenError
        self._check(keys.parse_ids(key)["dag_id"])

    def _check(self, dag: KeyId) -> None:
        if not self._may_read(dag):
            raise ForbiddenError

    def _page(self, status: int, template: str, **values: Any) -> Answer:
        text = _templates().get_template(template).render(url=self._url, home_url=self._home_url, **values)
        # Texts may hold lone surrogates, which UTF-8 cannot encode.
        return Answer(status, text.encode("utf-8", "backslashreplace").decode())


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 16 else 0


def _status_of(error: XComError) -> int:
    return next((code for kind, code in _STATUS if isinstance(error, kind)), 500)


def _title(owner: Owner) -> str:
    mapped = f" [{owner.map_index}]" if owner.map_index >= 0 else ""
    return f"{owner.task_id}{mapped}: {owner.key}"


def _file_name(reference: Reference, as_csv: bool) -> str:
    owner = reference.owner
    mapped = f"-{owner.map_index}" if owner.map_index >= 0 else ""
    own = reference.info.name if reference.info.codec == "file" else None
    name = own or f"{owner.task_id}{mapped}-{owner.key}{keys.suffix_of(reference.key)}"
    return preview.printable(f"{name}.csv" if as_csv else name)


def duration(seconds: float) -> str:
    """Return a time in its one or two largest units: ``3 d 4 h``."""
    units = [("d", 86400), ("h", 3600), ("min", 60), ("s", 1)]
    left, words = int(seconds), []
    for name, length in units:
        count, left = divmod(left, length)
        if count or (name == "s" and not words):
            words.append(f"{count:,} {name}")
    return " ".join(words[:2])


@functools.lru_cache(maxsize=1)
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        size=human_size, duration=duration, histogram=charts.histogram, plot=charts.plot
    )
    return environment
