"""Be a worker process: make what is assigned, until there is nothing more or the coordinator is gone.

An assignment may arrive while another is under way. Before it is begun it is claimed, by taking its number from a
pipe that the coordinator reads too: so an assignment that waits here can be taken back at any moment, and is never
made twice. Never imports the user's script.
"""

from __future__ import annotations

import faulthandler
import os
import select
import signal
import sys
from _thread import start_new_thread
from collections.abc import Iterator

from holdfast.engines.process_messages import (
    CLAIM,
    End,
    Forget,
    Frame,
    Knowledge,
    Parcel,
    Ready,
    SearchPath,
    frame,
    pack,
    unpack,
)
from holdfast.runtime.job import Code, Job
from holdfast.runtime.worker import run_job

BLOCK = 1 << 18
"""Bytes read at once."""


def main(channel: int, claims: int) -> None:
    """Work for the coordinator at the other end of the socket `channel`; `claims` is the pipe with the numbers."""
    for descriptor in (channel, claims):
        os.set_inheritable(descriptor, False)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # what the coordinator's shell ignores is inherited
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    faulthandler.enable()
    sys.argv = [""]
    start_new_thread(_watch, (channel,))
    _work(channel, claims)


def _work(channel: int, claims: int) -> None:
    codes: dict[int, Code] = {}
    claimed = 0
    _send(channel, frame(pack(Ready())))
    for message in _receive(channel):
        match message.body:
            case Parcel():
                claimed = _claim(claims, claimed, message.number)
                if claimed == message.number:
                    _make(channel, message, codes[message.code])
            case Knowledge(number, code):
                codes[number] = code
            case SearchPath(entries):
                sys.path[:] = entries
            case Forget():
                codes.clear()
            case End():
                return


def _make(channel: int, message: Frame, code: Code) -> None:
    parcel: Parcel = message.body
    report = run_job(Job(parcel.ticket, code, parcel.calls, parcel.sources, parcel.directory))
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()
    _send(channel, frame(pack(report.outcomes), message.number))


def _claim(claims: int, claimed: int, wanted: int) -> int:
    """Return the number claimed last: `wanted`, or another if that assignment was taken back."""
    while claimed < wanted:
        try:
            (claimed,) = CLAIM.unpack(os.read(claims, CLAIM.size))
        except BlockingIOError:
            break
    return claimed


def _receive(channel: int) -> Iterator[Frame]:
    received = bytearray()
    while block := os.read(channel, BLOCK):
        received += block
        yield from unpack(received)


def _send(channel: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(channel, view) :]


def _watch(channel: int) -> None:
    """End this process and all that it has started, at once, when the coordinator is gone."""
    poll = select.poll()
    poll.register(channel, 0)  # nothing but the hang-up
    poll.poll()
    os.killpg(0, signal.SIGKILL)
