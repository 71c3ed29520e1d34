"""Asking Hugging Face, or a mirror of it, for files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from ipaddress import ip_address
from typing import Any, Self
from urllib.parse import urlsplit

from napari_sam3.core.errors import CheckpointError, ModelError, Sam3Error
from napari_sam3.models import refusals
from napari_sam3.models.hub_cache import is_commit, is_digest, is_true
from napari_sam3.models.spec import ModelSpec, WeightsFile

__all__ = ["BrokenOffError", "Hub", "Remote", "knows_login"]

#: Answers after which the same request may succeed a little later.
_PASSING = (408, 429, 500, 502, 503, 504)
_CHUNK = 1 << 16


def _install(spec: ModelSpec) -> str:
    """Return the command for all that a model needs, which includes downloading."""
    return f'pip install -U "napari-sam3[{spec.extra or "hub"}]"'


class BrokenOffError(Exception):
    """A transfer ended early, for a reason that may pass: try again.

    Parameters
    ----------
    reason : str
        What happened.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Remote:
    """What the hub says of a file.

    Parameters
    ----------
    url : str
        Of this very version.
    etag : str
        Names the content; SHA-256 of large files, git's SHA-1 of small ones.
    commit : str
        That the revision stands for.
    size : int, optional
        Bytes.
    """

    url: str
    etag: str
    commit: str
    size: int | None


def knows_login(endpoint: str) -> bool:
    """Tell whether the token that ``hf auth login`` keeps may be sent somewhere.

    That token was given for Hugging Face, and a mirror would learn it; who wants to
    give a mirror a token sets ``HF_TOKEN``.

    Parameters
    ----------
    endpoint : str
        URL.

    Returns
    -------
    bool
        True for Hugging Face by https, and for this very machine.
    """
    try:
        parts = urlsplit(endpoint)
        host = parts.hostname or ""
    except ValueError:  # no URL
        return False
    if host == "huggingface.co" or host.endswith(".huggingface.co"):
        return parts.scheme == "https"
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # a name
        return False


class Hub:
    """Hugging Face as the environment sets it up, asked about one model's files.

    ``HF_ENDPOINT``, ``HF_TOKEN``, ``HF_HUB_OFFLINE`` and the timeouts
    ``HF_HUB_ETAG_TIMEOUT`` and ``HF_HUB_DOWNLOAD_TIMEOUT`` are read when it is asked;
    proxies and certificates are huggingface_hub's business.

    Parameters
    ----------
    spec : ModelSpec
        The model, with a repository.
    token : str, optional
        Sent instead of the one that ``HF_TOKEN`` or, where `knows_login` allows it,
        ``hf auth login`` gave.
    """

    def __init__(self, spec: ModelSpec, token: str | None = None) -> None:
        self._spec = spec
        self._endpoint = (os.environ.get("HF_ENDPOINT") or "").rstrip("/") or None
        self._library: Any = None
        self._token = token

    @classmethod
    def connect(cls, spec: ModelSpec, token: str | None = None) -> Self:
        """Prepare to ask.

        Raises
        ------
        ModelError
            If huggingface_hub is not installed, or too old.
        CheckpointError
            In offline mode.
        """
        hub = cls(spec, token)
        try:
            hub._library = import_module("huggingface_hub")
        except ImportError as error:
            raise ModelError(refusals.without_library(spec, _install(spec))) from error
        # Before version 1 it talked through requests.
        session = getattr(hub._library, "get_session", None)
        if session is None or not callable(getattr(session(), "stream", None)):
            raise ModelError(
                f"huggingface_hub {hub._library.__version__} is too old to download "
                f"{spec.id!r} with; update it: {_install(spec)}."
            )
        if variables := _offline():
            raise CheckpointError(refusals.offline(spec, variables))
        if hub._token is None and not is_true("HF_HUB_DISABLE_IMPLICIT_TOKEN"):
            if knows_login(hub._where):
                hub._token = hub._library.get_token()
            else:
                hub._token = os.environ.get("HF_TOKEN", "").strip() or None
        return hub

    def describe(self, file: WeightsFile) -> Remote:
        """Ask what a file is, without its content.

        Raises
        ------
        CheckpointError
            If it is refused or cannot be reached; the message says what to do.
        """
        library = self._library
        try:
            facts = library.get_hf_file_metadata(
                self._url(file, self._spec.revision),
                token=self._token or False,
                timeout=_timeout("HF_HUB_ETAG_TIMEOUT"),
                endpoint=self._endpoint,
                library_name="napari-sam3",
            )
        except (library.errors.HfHubHTTPError, *self._connection_errors()) as error:
            raise self._explain(error, file) from error
        # Both become names of files: whoever answers must not choose any others.
        if not (is_digest(facts.etag or "") and is_commit(facts.commit_hash or "")):
            raise CheckpointError(refusals.no_hub(self._spec, self._where))
        url = self._url(file, facts.commit_hash)
        return Remote(url, facts.etag, facts.commit_hash, facts.size)

    @contextmanager
    def read(
        self, file: WeightsFile, remote: Remote, start: int
    ) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Read a file's content.

        Parameters
        ----------
        file : WeightsFile
            The file.
        remote : Remote
            As `describe` returned it.
        start : int
            From which byte on; those before are there already.

        Yields
        ------
        tuple
            The byte that the server begins with, which may be 0 all the same, and
            the content in pieces.

        Raises
        ------
        BrokenOffError
            If the connection fails or ends early, or the server is busy or silent.
        CheckpointError
            If the file is refused.
        """
        library = self._library
        headers = library.utils.build_hf_headers(
            token=self._token or False, library_name="napari-sam3"
        )
        headers["Accept-Encoding"] = "identity"
        if start:
            headers["Range"] = f"bytes={start}-"
        try:
            with library.get_session().stream(
                "GET",
                remote.url,
                headers=headers,
                timeout=_timeout("HF_HUB_DOWNLOAD_TIMEOUT"),
                follow_redirects=True,
            ) as answer:
                if answer.status_code in _PASSING:
                    raise BrokenOffError(f"the server answers {answer.status_code}")
                if answer.status_code == 416:  # there is nothing after ``start``
                    yield 0, iter(())
                    return
                library.utils.hf_raise_for_status(answer)
                first = start if answer.status_code == 206 else 0
                yield first, answer.iter_bytes(_CHUNK)
        except library.errors.HfHubHTTPError as error:
            raise self._explain(error, file) from error
        except self._connection_errors() as error:
            raise BrokenOffError(refusals.said(error)) from error

    @property
    def _where(self) -> str:
        return self._endpoint or str(self._library.constants.ENDPOINT)

    def _url(self, file: WeightsFile, revision: str) -> str:
        url = self._library.hf_hub_url(
            self._spec.repo, file.name, revision=revision, endpoint=self._endpoint
        )
        return str(url)

    def _connection_errors(self) -> tuple[type[Exception], ...]:
        """Return what is raised where there is no answer.

        huggingface_hub 1 talks through httpx and 2 through httpx2, its successor.
        """
        client = type(self._library.get_session()).__module__.partition(".")[0]
        transport: type[Exception] = import_module(client).TransportError
        return transport, self._library.errors.OfflineModeIsEnabled

    def _explain(self, error: Any, file: WeightsFile) -> Sam3Error:
        answer = getattr(error, "response", None)
        if isinstance(error, self._library.errors.OfflineModeIsEnabled):
            # It reads the variables when it is imported.
            variables = _offline() or ["HF_HUB_OFFLINE"]
            return CheckpointError(refusals.offline(self._spec, variables))
        if answer is None:
            reason = refusals.said(error)
            return CheckpointError(
                refusals.no_connection(self._spec, self._where, reason)
            )
        return CheckpointError(
            refusals.refused(
                self._spec,
                file,
                status=answer.status_code,
                code=answer.headers.get("X-Error-Code", ""),
                message=answer.headers.get("X-Error-Message", ""),
                where=self._where,
                has_token=self._token is not None,
                knows_login=knows_login(self._where),
            )
        )


def _offline() -> list[str]:
    """Return which variables forbid to ask anybody."""
    return list(filter(is_true, ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")))


def _timeout(variable: str) -> float:
    """Return after how many silent seconds a server is given up."""
    value = os.environ.get(variable, "")
    return float(value) if value.isdecimal() and int(value) else 10.0
