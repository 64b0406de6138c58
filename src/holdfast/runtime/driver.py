"""Turn a session's loop: in a thread of its own, or in the thread that waits for a result.

With an engine that works elsewhere the loop has its own thread from the start; with the in-process engine it runs in the thread that waits,
so that tracebacks, debuggers and Ctrl-C behave as in plain Python, until somebody asks without waiting. Decides nothing about work;
that is the scheduler's.

State: the lock of all that the scheduler decides from, the lock of whoever turns the loop, and the thread, if there is one.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from queue import SimpleQueue
from time import monotonic

from holdfast.model.reference import Input
from holdfast.runtime.engine import Engine
from holdfast.runtime.happening import Happening, Request, Stop
from holdfast.runtime.scheduler import Scheduler
from holdfast.runtime.task import Failure

IDLE_SECONDS = 3600.0
"""How long the loop sleeps at most; nothing depends on it."""

CLOSE_SECONDS = 10.0
"""How long leaving a session waits for an operation that cannot be interrupted."""


class Driver:
    """Takes happenings, has the scheduler decide, and submits what is to be run.

    Parameters
    ----------
    scheduler : Scheduler
    engine : Engine
    inbox : queue of happenings
    on_turn : callable
        Called within each turn, while the state is held.
    name : str
        Of the thread.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        engine: Engine,
        inbox: SimpleQueue[Happening],
        on_turn: Callable[[], None],
        name: str,
    ) -> None:
        self.state = threading.RLock()
        """Held by whoever reads or changes what the scheduler decides from."""
        self._scheduler = scheduler
        self._engine = engine
        self._inbox = inbox
        self._on_turn = on_turn
        self._name = name
        self._driving = threading.Lock()
        self._thread: threading.Thread | None = None

    def run(self, items: list[Input], timeout: float | None) -> list[Failure]:
        """Request items and wait for them; return the failure, if there is one.

        Raises
        ------
        TimeoutError
            The time ran out.
        """
        done = threading.Event()
        failures: list[Failure] = []

        def settled(failure: Failure | None) -> None:
            if failure is not None:
                failures.append(failure)
            done.set()

        _let_interrupt()
        self._inbox.put(Request(tuple(items), settled))
        if self._thread is None:
            self._drive(done.is_set, timeout)
        elif not done.wait(timeout):
            raise TimeoutError(
                f"No result after {timeout} s. The work goes on; ask again, or close the session to stop it."
            )
        return failures

    def start(self) -> None:
        """Turn the loop in a thread of its own from now on."""
        with self.state:
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name=self._name, daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End the loop and the engine's workers, and wait for the thread, if there is one."""
        self._inbox.put(Stop())
        self._engine.close()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(CLOSE_SECONDS)

    def _drive(self, is_done: Callable[[], bool], timeout: float | None) -> None:
        """Turn the loop in this thread until `is_done`."""
        end = None if timeout is None else monotonic() + timeout
        with self._driving:
            while not is_done():
                left = IDLE_SECONDS if end is None else end - monotonic()
                if left <= 0:
                    raise TimeoutError(f"No result after {timeout} s. Ask again to go on.")
                self._turn(left)

    def _turn(self, wait: float) -> None:
        """Take happenings, decide, and submit; only the deciding holds the state."""
        happening = self._scheduler.next_happening(wait)
        try:
            with self.state:
                jobs = self._scheduler.turn(happening)
                self._on_turn()
            for job in jobs:
                self._engine.submit(job, self._inbox.put)
        except KeyboardInterrupt:  # in the user's own thread, anywhere: only what is committed is certain
            with self.state:
                self._scheduler.abandon()
            raise

    def _loop(self) -> None:
        while not self._scheduler.is_stopped:
            try:
                self._drive(lambda: self._scheduler.is_stopped, None)
            except Exception as error:  # a bug, or an engine that breaks its word: nobody may wait for ever
                with self.state:
                    self._scheduler.break_off(error)


def _let_interrupt() -> None:
    """Have Ctrl-C end a wait of the main thread, also after a library has asked that it ends none, as polars does."""
    if threading.current_thread() is threading.main_thread():
        signal.siginterrupt(signal.SIGINT, True)
