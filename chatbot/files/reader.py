"""Reads uploaded files in processes of their own, two at once."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from chatbot.config import ROOT
from chatbot.errors import FileNotRead, FileTooLarge
from chatbot.files.names import clean_name
from chatbot.files.pictures import MEGAPIXELS
from chatbot.storage.attachments import Stored

log = logging.getLogger("chatbot.files")

AT_ONCE = 2
SECONDS = 20.0
"""Longest time to read one file."""
COMMAND = (sys.executable, "-m", "chatbot.files.process")


class FileReader:
    """Reads files within the owner's limits."""

    def __init__(self, *, max_mb: int, max_pages: int, seconds: float = SECONDS) -> None:
        self.max_mb = max_mb
        self._max_pages = max_pages
        self._seconds = seconds
        # Each thread waits for a process.
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="files")

    async def read(self, name: str, content: bytes) -> Stored:
        """The file as it is stored, with a clean name. Raises `FileNotRead` or `FileTooLarge`."""
        if len(content) > self.max_mb * 1024 * 1024:
            raise self.too_large()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._read, name, content)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def too_large(self) -> FileTooLarge:
        """The error that tells the limits."""
        return FileTooLarge(megabytes=self.max_mb, megapixels=MEGAPIXELS, pages=self._max_pages)

    def _read(self, name: str, content: bytes) -> Stored:
        line, _, data = self._ask(content).partition(b"\n")
        facts: dict[str, Any] = json.loads(line)
        if facts.get("error") == FileTooLarge.code or facts.get("pages", 0) > self._max_pages:
            raise self.too_large()
        if "error" in facts:
            raise FileNotRead()
        kind, type = facts["kind"], facts["type"]
        return Stored(
            kind=kind,
            type=type,
            name=clean_name(name, kind, type),
            width=facts.get("width", 0),
            height=facts.get("height", 0),
            pages=facts.get("pages", 0),
            data=content if kind == "pdf" else data,
        )

    def _ask(self, content: bytes) -> bytes:
        """What the process writes. Raises `FileNotRead` if it does not end well."""
        # It finds the same packages, and has none of the app's secrets.
        environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
        try:
            ended = subprocess.run(
                COMMAND,
                input=content,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=ROOT,
                env=None if sys.platform == "win32" else environment,
                timeout=self._seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            log.warning("a file was not read within %s seconds", self._seconds)
            raise FileNotRead() from None
        except OSError as error:
            log.error("the process that reads files did not start: %s", error.strerror)
            raise FileNotRead() from None
        if ended.returncode or b"\n" not in ended.stdout:
            log.warning("the process that reads files ended with %s", ended.returncode)
            raise FileNotRead()
        return ended.stdout
