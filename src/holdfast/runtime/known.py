"""Settle the calls that other sessions have made, as if their results had been there from the start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.runtime.generated import GeneratedNodes

if TYPE_CHECKING:
    from holdfast.runtime.scheduler import Scheduler


def settle_known(scheduler: Scheduler) -> bool:
    """Give what is known of calls by now to whoever waits for them; return whether there was anything."""
    found = scheduler.elsewhere.take_found()
    for pending, known in found:
        scheduler.counts.reasons[pending.why] -= 1
        if isinstance(known, str):
            for consumer, index in pending.consumers:
                consumer.started(index)
                scheduler.ledger.add_needs(bytes.fromhex(consumer.store_uid(index)), (pending.call.key,))
            GeneratedNodes(scheduler, pending, known).follow()
            continue
        scheduler.dispatcher.release(pending)
        for consumer, index in pending.consumers:
            consumer.reuse(index, known)
    return bool(found)
