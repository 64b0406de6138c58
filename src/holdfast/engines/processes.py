"""Run jobs in processes of this machine: for pure Python, and for code that may crash.

Each worker process holds up to one job more than it runs, so that it need not wait for the next; what it has not
begun can be taken back, for another worker that is idle or when it dies. Workers never import the user's script, and
none outlives this process. The cores are shared out among them by the environment variables of OpenMP, BLAS and
OpenMM, as joblib and Dask do, where the user has not set these. All workers have the environment and the current
directory of the moment when the engine was made.

State: the queue, the workers, the codes that have a number, the guard, and the thread that hears the workers.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from itertools import count

from holdfast.engines.process_guard import PROGRAM
from holdfast.engines.process_handle import Handle, Numbered, Task, start
from holdfast.engines.process_messages import Parcel, Ready, pack
from holdfast.errors import EngineFailure
from holdfast.runtime.engine import available_cores
from holdfast.runtime.job import Code, Failed, Job, Report
from holdfast.runtime.worker import lost

HELD = 2
"""How many jobs a worker holds: one that runs and one that waits."""

GRACE_SECONDS = 1.0
"""How long a worker may take to end before it is killed."""

NUMBERS_LIMIT = 1024
"""How many codes have a number at the same time."""

THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENMM_CPU_THREADS")
"""Environment variables that a worker gets, unless the user has set them."""

CLOSED = "the engine was closed"

Reports = list[tuple[Callable[[Report], None], Report]]


class ProcessesEngine:
    """Runs jobs in worker processes, which start as they are needed.

    Parameters
    ----------
    workers : int, optional
        How many there may be; as many as cores are available if not given.

    Raises
    ------
    EngineFailure
        This Python cannot start another one, since it does not know its own program.
    """

    name = "processes"
    is_inline = False
    shares_memory = False

    def __init__(self, workers: int | None = None) -> None:
        if not sys.executable:
            raise EngineFailure("Worker processes cannot be started: sys.executable is empty. Use engine='threads'.")
        self.slots = workers or available_cores()
        self._environment = _environment(self.slots)
        self._directory = _current_directory()
        self._lock = threading.Lock()
        self._is_settled = threading.Condition(self._lock)
        self._queue: deque[Task] = deque()
        self._workers: list[Handle] = []
        self._numbers = count(1)
        self._codes: dict[Code, Numbered] = {}
        self._guard: subprocess.Popen[bytes] | None = None
        self._is_closed = False
        self._is_changed = False
        self._ended: deque[Handle] = deque()
        self._alarm, self._bell = socket.socketpair()
        self._alarm.setblocking(False)
        self._bell.setblocking(False)
        self._keeper = threading.Thread(target=self._keep, name="holdfast-processes", daemon=True)

    def submit(self, job: Job, report: Callable[[Report], None]) -> None:
        """Hand the job to a worker, or queue it."""
        try:
            body = pack(Parcel(job.ticket, job.calls, dict(job.sources), job.directory))
            if job.code.function is not None:
                raise TypeError("its function was described for this process only")
        except Exception as error:
            report(_refused(job, error))
            return
        reports: Reports = []
        with self._lock:
            if self._is_closed:
                reports.append((report, lost(job, CLOSED)))
            else:
                self._queue.append(Task(job, report, self._numbered(job.code), body))
                self._dispatch(reports)
        _deliver(reports)

    def cancel(self, ticket: int) -> bool:
        """Drop the job if it is not begun; else end its worker, and report its calls as lost when that is done."""
        with self._lock:
            for worker in self._workers:
                if any(task.job.ticket == ticket for task in worker.assigned.values()):
                    self._queue.extendleft(reversed(worker.take_back()))
                    for task in worker.assigned.values():
                        if task.job.ticket == ticket:
                            task.is_cancelled = True
                            worker.kill()
                            return True
            waiting = next((task for task in self._queue if task.job.ticket == ticket), None)
            if waiting is None:
                return False
            self._queue.remove(waiting)
            reports: Reports = [(waiting.report, lost(waiting.job, "it was cancelled"))]
            self._dispatch(reports)
        _deliver(reports)
        return True

    def close(self) -> None:
        """End all workers, if need be in the middle of a call, and report what is not finished as lost."""
        with self._lock:
            self._is_closed = True
            dropped = [*self._queue]
            self._queue.clear()
            for worker in self._workers:
                dropped.extend(worker.take_back())
                worker.end() if worker.is_ready and not worker.assigned else worker.kill(signal.SIGTERM)
        _deliver([(task.report, lost(task.job, CLOSED)) for task in dropped])
        with self._lock:
            if not self._is_settled.wait_for(lambda: not self._workers, GRACE_SECONDS):
                for worker in self._workers:
                    worker.kill()
                self._is_settled.wait_for(lambda: not self._workers, GRACE_SECONDS)
        self._release()

    def _release(self) -> None:
        self._wake()
        if self._keeper.ident is not None and self._keeper is not threading.current_thread():
            self._keeper.join(GRACE_SECONDS)
        self._bell.close()
        self._alarm.close()
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.close()
            self._guard.wait()

    # under the lock

    def _numbered(self, code: Code) -> Numbered:
        found = self._codes.get(code)
        if found is None:
            if len(self._codes) >= NUMBERS_LIMIT:
                self._codes.clear()
            found = self._codes[code] = Numbered(next(self._numbers), code)
        return found

    def _dispatch(self, reports: Reports) -> None:
        """Give what is queued to idle workers, then to new ones, then to those that hold less than they may."""
        path = tuple(entry for entry in sys.path if isinstance(entry, str)) if self._queue else ()
        while self._queue:
            usable = [worker for worker in self._workers if not worker.is_ending]
            worker = min(usable, key=lambda worker: len(worker.assigned), default=None)
            if worker is None or (worker.assigned and len(usable) < self.slots):
                worker = self._start(path, reports) or worker
            if worker is None or len(worker.assigned) >= HELD:
                return
            worker.assign(next(self._numbers), self._queue.popleft(), path)
            if worker.unsent:
                self._is_changed = True
                self._wake()

    def _start(self, path: tuple[str, ...], reports: Reports) -> Handle | None:
        """Return a new worker; if there is none at all, and none can be started, whatever waits is lost."""
        try:
            worker = start(path, self._directory, self._environment)
        except OSError as error:
            if not self._workers:
                reports += [
                    (task.report, lost(task.job, f"no worker process can be started: {error}")) for task in self._queue
                ]
                self._queue.clear()
            return None
        self._workers.append(worker)
        self._is_changed = True
        self._tell_guard(b"+%d\n" % worker.process.pid)
        if self._keeper.ident is None:
            self._keeper.start()
        threading.Thread(target=self._wait_for, args=(worker,), name="holdfast-process", daemon=True).start()
        self._wake()
        return worker

    def _tell_guard(self, line: bytes) -> None:
        """Tell the guard, which is started with the first worker; the workers do without it, if it must be."""
        try:
            if self._guard is None:
                command = [sys.executable, "-I", "-S", PROGRAM]
                self._guard = subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0, start_new_session=True)
            assert self._guard.stdin is not None
            self._guard.stdin.write(line)
        except OSError:
            return

    def _take_over(self) -> None:
        """Queue again what waits behind a busy worker, or at one that is only starting, if another can have it."""
        usable = [worker for worker in self._workers if not worker.is_ending]
        idle = sum(worker.is_ready and not worker.assigned for worker in usable)
        missing = self.slots - len(usable)
        for worker in self._workers:
            room = idle + missing - len(self._queue)
            if room > 0 and (len(worker.assigned) > 1 or (idle and worker.assigned and not worker.is_ready)):
                self._queue.extendleft(reversed(worker.take_back()))

    def _bury(self, worker: Handle, reports: Reports) -> None:
        """Settle what a worker leaves that has ended: what it had begun is lost, the rest is queued again."""
        waiting = worker.take_back()
        if waiting and not worker.is_ready:  # one that cannot even start must not be replaced for ever
            worker.assigned[0] = waiting.pop(0)
        reason = CLOSED if self._is_closed else _reason(worker)
        for task in worker.assigned.values():
            reports.append((task.report, lost(task.job, "it was cancelled" if task.is_cancelled else reason)))
        worker.kill()
        self._tell_guard(b"-%d\n" % worker.process.pid)
        worker.close()
        self._workers.remove(worker)
        self._is_changed = True
        if self._is_closed:
            reports += [(task.report, lost(task.job, CLOSED)) for task in waiting]
        else:
            self._queue.extendleft(reversed(waiting))

    # in threads of its own

    def _wait_for(self, worker: Handle) -> None:
        worker.process.wait()
        self._ended.append(worker)
        self._wake()

    def _wake(self) -> None:
        try:
            self._bell.send(b"!")
        except OSError:  # it rings already, or nobody is there to hear it
            return

    def _keep(self) -> None:
        """Hear the workers, and keep them busy, until the engine is closed and the last one has ended."""
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._alarm, selectors.EVENT_READ)
                while not (self._is_closed and not self._workers):
                    heard = [key.data for key, _ in selector.select()]
                    self._handle([worker for worker in heard if worker is not None], is_alarmed=None in heard)
                    if self._is_changed:
                        self._listen(selector)
        except BaseException as error:
            self._give_up(f"the engine has failed: {error!r}")
            raise

    def _handle(self, heard: list[Handle], *, is_alarmed: bool) -> None:
        if is_alarmed:
            self._silence()
        ended = [self._ended.popleft() for _ in range(len(self._ended))]
        frames = [(worker, worker.receive()) for worker in dict.fromkeys([*heard, *ended])]
        reports: Reports = []
        with self._lock:
            for worker, received in frames:
                for frame in received:
                    if isinstance(frame.body, Ready):
                        worker.is_ready = True
                    elif (task := worker.assigned.pop(frame.number, None)) is not None:
                        reports.append((task.report, Report(task.job.ticket, frame.body)))
                if not worker.is_heard and worker not in ended:
                    worker.kill()
                    self._is_changed = True
                if worker.unsent:
                    worker.flush()
                    self._is_changed = True
            for worker in ended:
                self._bury(worker, reports)
            if not self._queue and not self._is_closed:
                self._take_over()
            self._dispatch(reports)
            if not self._workers:
                self._is_settled.notify_all()
        _deliver(reports)

    def _silence(self) -> None:
        try:
            while self._alarm.recv(4096):
                continue
        except BlockingIOError:
            return

    def _listen(self, selector: selectors.BaseSelector) -> None:
        """Listen to exactly the workers that there are, and to whether they can take more where something is unsent."""
        with self._lock:
            self._is_changed = False
            wanted = {
                worker.channel: (worker, selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.unsent else 0))
                for worker in self._workers
                if worker.is_heard
            }
        known = {key.fileobj: key.events for key in selector.get_map().values() if key.data is not None}
        for channel in known.keys() - wanted.keys():
            selector.unregister(channel)
        for channel, (worker, events) in wanted.items():
            if channel not in known:
                selector.register(channel, events, worker)
            elif known[channel] != events:
                selector.modify(channel, events, worker)

    def _give_up(self, reason: str) -> None:
        with self._lock:
            self._is_closed = True
            tasks = [*self._queue, *(task for worker in self._workers for task in worker.assigned.values())]
            for worker in self._workers:
                worker.assigned.clear()
                worker.kill()
            self._queue.clear()
        _deliver([(task.report, lost(task.job, reason)) for task in tasks])


def _deliver(reports: Reports) -> None:
    for report, outcome in reports:
        report(outcome)


def _refused(job: Job, error: Exception) -> Report:
    reason = f"the job cannot be sent to a worker process: {error}"
    return Report(job.ticket, tuple(Failed(call.key, type(error).__name__, reason, "") for call in job.calls))


def _reason(worker: Handle) -> str:
    code = worker.process.returncode
    if code is None or code >= 0:
        return f"its worker process exited with code {code}"
    hint = ", perhaps because memory ran out" if code == -signal.SIGKILL else ""
    try:
        return f"its worker process was ended by {signal.Signals(-code).name}{hint}"
    except ValueError:
        return f"its worker process was ended by signal {-code}"


def _environment(workers: int) -> Mapping[str, str]:
    threads = str(max(1, available_cores() // workers))
    return {**dict.fromkeys(THREAD_LIMITS, threads), **os.environ}


def _current_directory() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None
