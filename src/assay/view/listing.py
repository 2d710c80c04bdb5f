"""The list of runs as it is now; what has not changed since is not read again."""

import logging
import threading

from assay.core.errors import AssayError
from assay.core.records import Record
from assay.runs.glance import RunGlance, glance, is_being_written, last_change
from assay.view.folder import RunFolder

log = logging.getLogger(__name__)


class ListedRun(Record):
    """A run of the list; found: None where it cannot be read, and `problem` says why, else empty."""

    name: str
    found: RunGlance | None
    problem: str = ""


class Listing:
    """The runs of a folder, remembered by the time of their last change."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._known: dict[str, tuple[float, ListedRun]] = {}
        self._lock = threading.Lock()

    def runs(self) -> list[ListedRun]:
        """All runs, the most recently changed first."""
        return [self.run(name) for name in self._folder.names()]

    def run(self, name: str) -> ListedRun:
        """One run; NotServedError is a `problem` here, so that one bad run does not hide the others."""
        directory = self._folder.root if name == "." else self._folder.root / name
        changed = last_change(directory)
        with self._lock:
            known = self._known.get(name)
        if known is not None and known[0] == changed:
            return self._with_state(known[1], name)
        listed = self._read(name)
        with self._lock:
            self._known[name] = (changed, listed)
        return listed

    def _read(self, name: str) -> ListedRun:
        try:
            with self._folder.open(name) as run:
                return ListedRun(name=name, found=glance(run.store.directory, run.connection))
        except AssayError as error:
            return ListedRun(name=name, found=None, problem=str(error))
        except Exception as error:  # what a store holds may fail in any way, and must not hide the other runs
            log.info("run %s cannot be read", name, exc_info=error)
            return ListedRun(name=name, found=None, problem=f"this run cannot be read ({type(error).__name__})")

    def _with_state(self, listed: ListedRun, name: str) -> ListedRun:
        """A run that was written to before and is not finished may have ended since without another write."""
        found = listed.found
        if found is None or found.state == "finished":
            return listed
        directory = self._folder.root if name == "." else self._folder.root / name
        state = "running" if is_being_written(directory) else "stopped"
        return listed.model_copy(update={"found": found.model_copy(update={"state": state})})
