"""Remove from a working directory what its named targets do not need, so that its space comes back.

Says first what would go and what stays, and why. Then, as the only owner of the directory, takes the rows out, and after them
removes the files that no row names any more: a row never names bytes that are not there, and a collection that was killed is finished by
the next one. Works on a full disk. The wall clock decides nothing but what people choose by age.

State: of one collection, the marks, and what was found.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Collection as Names
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from holdfast.errors import InvalidData, NotFound, StoreFailure
from holdfast.storage.checkpoint import sweep_checkpoints
from holdfast.storage.clearing import BLOCK, Clearing
from holdfast.storage.confine import remove
from holdfast.storage.flush import flush_folder
from holdfast.storage.marks import Mark, Marks, Undo
from holdfast.storage.needs import BLOCK as WEIGHED
from holdfast.storage.needs import Amount, Needs
from holdfast.storage.owner import current_owner
from holdfast.storage.ownership import Ownership
from holdfast.storage.reserve import give_up_reserve, keep_reserve
from holdfast.storage.rows import TargetRow
from holdfast.storage.staging import new_name, sweep_tmp
from holdfast.storage.store import writing
from holdfast.storage.workdir import WorkDirectory, open_workdir

_STORE = re.compile(r"[0-9a-f]{64}", re.ASCII)
_ROW_SPACE = 16 * 1024  # of the log, for one row that is taken out: a page of the table, and one or two of its index
_FEWEST_ROWS = 32
_GAPS_SHARE = 0.2
_PAGE = 4096


@dataclass(frozen=True, slots=True)
class Choice:
    """What a collection is to keep besides what targets need, and which targets."""

    drop: Sequence[str] = ()
    """Targets whose names are given up."""
    keep: Sequence[str] | None = None
    """The only targets whose names are not."""
    older_than: float | None = None
    """Seconds: only what was made longer ago is removed."""
    down_to: int | None = None
    """Bytes of results: only what was made first is removed, until no more than this is left."""
    results_only: bool = False
    """Of finished targets only the results are needed, not what they were computed from."""
    everything: bool = False
    """Everything may go, if there are no targets."""

    @property
    def is_partial(self) -> bool:
        """Whether something may stay that no target needs."""
        return self.older_than is not None or self.down_to is not None


@dataclass(frozen=True, slots=True)
class KeptTarget:
    """A target, and what it needs beyond what those before it need."""

    name: str
    uid: str
    is_done: bool
    results: int
    size: int


@dataclass(slots=True)
class RemovedGroup:
    """Results of one operation that nothing needs."""

    operation: str
    results: int = 0
    size: int = 0
    oldest: int = 0
    """Seconds since 1970; 0: from before that was kept."""
    newest: int = 0


@dataclass(slots=True)
class Collection:
    """What a collection found, and whether it was done."""

    directory: str
    is_done: bool = False
    kept: list[KeptTarget] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    """Targets whose names are given up."""
    chosen: Amount = field(default_factory=Amount)
    """What no target needs, and stays because it is young enough, or because it cannot be known what it belongs to."""
    is_older: bool = False
    """Whether that cannot be known: a target needs results of an earlier holdfast."""
    removed: list[RemovedGroup] = field(default_factory=list)
    failures: int = 0
    """Failures of what nothing needs."""
    orphans: Amount = field(default_factory=Amount)
    """Stores that no row names."""
    is_everything: bool = False
    """Whether nothing would be kept, which has to be said: `Choice.everything`."""
    gaps: int = 0
    """Bytes of empty pages that are left in the catalog."""

    @property
    def results(self) -> int:
        """How many results go."""
        return sum(group.results for group in self.removed)

    @property
    def size(self) -> int:
        """How many bytes of results and stores go."""
        return sum(group.size for group in self.removed) + self.orphans.size


def collect(
    working_directory: str | os.PathLike[str], choice: Choice | None = None, *, apply: bool = False
) -> Collection:
    """Remove what no named target needs; or, without `apply`, only say what that would be.

    Parameters
    ----------
    working_directory : path
    choice : Choice
        What else is to stay, and which targets.
    apply : bool
        Do it, as the only owner of the directory. Without it nothing is changed, and it may be in use.

    Raises
    ------
    OwnershipError
        A session works there; says who. Nothing was changed.
    InvalidData
        There is no target, so everything would go.
    NotFound
        There is no target of that name.
    StoreDamaged
        What is needed is damaged: first `holdfast verify --repair`.
    StoreFailure
        The file system refused; the same again goes on.

    Examples
    --------
    >>> import holdfast as hf, tempfile
    >>> double = hf.operation(lambda x: 2 * x, name="demo.double")
    >>> work = tempfile.mkdtemp()
    >>> with hf.Session(work) as session:
    ...     session.name_target("kept", double(1))
    ...     session.results([double(1), double(2)])
    [2, 4]
    >>> collect(work).results
    1
    """
    workdir, wanted = open_workdir(working_directory, create=False), choice or Choice()
    if not apply:
        with Clearing.open(workdir, read_only=True) as catalog, catalog.snapshot(), Marks() as marks:
            return _Work(workdir, catalog, marks, wanted).survey()
    Clearing.open(workdir, read_only=True).close()  # what a newer holdfast made is refused before anything is changed
    give_up_reserve(workdir)
    ownership = Ownership.acquire(workdir, current_owner("collect"))
    try:
        with Clearing.open(workdir) as catalog, Marks() as marks:
            work = _Work(workdir, catalog, marks, wanted)
            found = work.survey()
            work.apply(ownership)
        return found
    finally:
        keep_reserve(workdir)
        ownership.release()


class _Work:
    """One collection."""

    def __init__(self, workdir: WorkDirectory, catalog: Clearing, marks: Marks, choice: Choice) -> None:
        self._workdir = workdir
        self._catalog = catalog
        self._marks = marks
        self._choice = choice
        self._needs = Needs(workdir, catalog, marks)
        self._found = Collection(str(workdir.path))

    def survey(self) -> Collection:
        """Find out what stays and what goes."""
        self._mark_targets()
        self._found.is_everything = not (self._found.kept or self._choice.everything or self._choice.is_partial)
        self._found.is_older = self._needs.is_older
        if self._has_chosen:
            self._choose()
        self._weigh_rest()
        self._found.failures = sum(len(rows) for rows in self._catalog.unneeded("failures", self._marks))
        for store in self._unneeded_stores():
            if not self._marks.among(Mark.COUNTED, [bytes.fromhex(store.name)]):
                self._found.orphans.results += 1
                self._found.orphans.size += _size(store)
        return self._found

    def apply(self, ownership: Ownership) -> None:
        """Remove what goes: rows first, files after."""
        if self._found.is_everything:
            raise InvalidData(
                f"No target is kept in {self._workdir.path}, so everything would go. Name what is to stay, with "
                "session.name_target or by `holdfast run FILE.py:NAME`, or say that everything may go: --everything"
            )
        sweep_tmp(self._workdir)
        with suppress(StoreFailure):  # on a full disk it may have to grow first
            self._catalog.move_log()
        self._catalog.clear(self._marks, chosen=self._has_chosen, room=self._room, confirm=ownership.confirm)
        with writing(self._workdir):
            for folder, stores in groupby(self._unneeded_stores(), attrgetter("parent")):
                asides = [_put_aside(self._workdir, store) for store in stores]
                flush_folder(folder)  # half of a store must never be seen in its place, after a power cut neither
                for aside in asides:
                    remove(aside)
        sweep_checkpoints(self._workdir, self._catalog)
        self._catalog.drop_targets(self._found.dropped, ownership.confirm)  # last: the same again must find them
        with suppress(
            StoreFailure
        ):  # somebody reads, or a temporary directory is full: the space is used for what comes next
            self._catalog.move_log()
            self._close_gaps()
        self._found.gaps = self._catalog.gaps()[1] * _PAGE
        self._found.is_done = True

    @property
    def _has_chosen(self) -> bool:
        return self._choice.is_partial or self._found.is_older

    def _mark_targets(self) -> None:
        rows = self._catalog.find_targets()
        dropped = _dropped(self._choice, [row.name for row in rows])
        self._found.dropped = sorted(dropped)
        kept = [row for row in rows if row.name not in dropped]
        done = self._catalog.find_call_keys([row.uid for row in kept])
        for row in sorted(kept, key=lambda row: row.uid in done):  # those that are not done need most
            self._found.kept.append(self._follow(row, row.uid in done))

    def _follow(self, row: TargetRow, is_done: bool) -> KeptTarget:
        amount = self._needs.follow(row.uid, results_only=self._choice.results_only)
        return KeptTarget(row.name, row.uid.hex(), is_done, amount.results, amount.size)

    def _choose(self) -> None:
        """Let stay what is young, what fits, and what may belong to results of an earlier holdfast."""
        since = None if self._choice.older_than is None else time.time() - self._choice.older_than
        limit, chosen = self._choice.down_to, self._found.chosen
        room = None if limit is None else limit - sum(target.size for target in self._found.kept)
        for block in self._catalog.latest_calls():
            needed = self._marks.among(Mark.NAME, [key for key, _ in block])
            for key, made in block:
                must = (since is not None and made >= since) or (self._found.is_older and not made)
                if key in needed or not (must or room is not None):
                    continue
                with self._marks.tentatively():
                    amount = self._needs.choose(key)
                    if not must and room is not None and chosen.size + amount.size > room:
                        room = None
                        raise Undo
                    chosen.results += amount.results
                    chosen.size += amount.size

    def _weigh_rest(self) -> None:
        groups: dict[str, RemovedGroup] = {}
        for block in self._catalog.unneeded("calls", self._marks):
            for start in range(0, len(block), WEIGHED):
                keys = [columns[1] for columns in block[start : start + WEIGHED]]
                for row, size in self._needs.weigh(keys):
                    group = groups.setdefault(row.operation, RemovedGroup(row.operation, oldest=row.made))
                    group.results += 1
                    group.size += size
                    group.oldest, group.newest = min(group.oldest, row.made), max(group.newest, row.made)
        self._found.removed = sorted(groups.values(), key=lambda group: -group.size)

    def _unneeded_stores(self) -> Iterator[Path]:
        """Return the stores on disk that nothing names that stays, and whose node no target needs."""
        for folder in sorted(self._workdir.nodes.iterdir()):
            if folder.is_symlink() or not folder.is_dir():
                continue
            stores = {bytes.fromhex(name): name for name in os.listdir(folder) if _STORE.fullmatch(name)}
            stays = self._marks.among(Mark.STORE, stores) | self._marks.among(Mark.NAME, stores)
            yield from (folder / name for store, name in sorted(stores.items()) if store not in stays)

    def _room(self) -> int:
        """Return how many rows may be taken out at once: few, where there is little space for the log."""
        free = shutil.disk_usage(self._workdir.path).free
        return max(_FEWEST_ROWS, min(BLOCK, free // _ROW_SPACE))

    def _close_gaps(self) -> None:
        """Make the database smaller, where that is worth it and there is space for it."""
        pages, free = self._catalog.gaps()
        left = (pages - free) * _PAGE
        if free > _GAPS_SHARE * pages and shutil.disk_usage(self._workdir.path).free > 2 * left:
            self._catalog.close_gaps()


def _dropped(choice: Choice, names: Names[str]) -> set[str]:
    """Return the targets whose names are given up."""
    dropped = {name for wanted in choice.drop for name in _matching(wanted, names)}
    if choice.keep is not None:
        dropped |= set(names) - {name for wanted in choice.keep for name in _matching(wanted, names)}
    return dropped


def _matching(wanted: str, names: Names[str]) -> list[str]:
    """Return the targets that a name stands for: one of its own, the last part of one, or that of a mapping with its parts."""
    found = [name for name in names if wanted in (name, name.rpartition(":")[2]) or name.startswith(wanted + ".")]
    if not found:
        raise NotFound(f"There is no target {wanted!r}. There are: {', '.join(sorted(names)) or 'none'}.")
    return found


def _put_aside(workdir: WorkDirectory, store: Path) -> Path:
    aside = workdir.tmp / new_name()
    os.rename(store, aside)
    return aside


def _size(store: Path) -> int:
    return sum(file.stat(follow_symlinks=False).st_size for file in os.scandir(store)) if store.is_dir() else 0
