from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from holdfast.errors import OwnershipError
from holdfast.storage import ownership
from holdfast.storage.owner import Owner, current_owner, is_alive, is_tag_alive, owner_tag, read_owner
from holdfast.storage.ownership import Ownership, unlock
from holdfast.storage.workdir import WorkDirectory, open_workdir

Start = Callable[..., "subprocess.Popen[str]"]

HOLD = """
import sys
from holdfast.storage.owner import current_owner
from holdfast.storage.ownership import Ownership
from holdfast.storage.workdir import open_workdir
held = Ownership.acquire(open_workdir(sys.argv[1]), current_owner("other"))
print("held", flush=True)
sys.stdin.readline()
held.release()
print("released", flush=True)
sys.stdin.readline()
"""


def hold(start: Start, workdir: WorkDirectory) -> subprocess.Popen[str]:
    program = start(HOLD, workdir.path)
    assert program.stdout is not None
    assert program.stdout.readline() == "held\n"
    return program


def write_owner(workdir: WorkDirectory, owner: Owner) -> None:
    workdir.owner_path.write_text(json.dumps(asdict(owner)))


def own(workdir: WorkDirectory) -> Ownership:
    return Ownership.acquire(workdir, current_owner("mine"))


def test_this_process_is_alive() -> None:
    assert is_alive(current_owner("")) is True
    assert is_tag_alive(owner_tag(current_owner(""))) is True


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"started": "1"}, False),
        ({"process": 2**22 + 1}, False),
        ({"boot": "before"}, False),
        ({"boot": "other", "host": "elsewhere"}, None),
        ({"space": "a container"}, None),
        ({"host": "renamed"}, True),
    ],
    ids=["number reused", "no such process", "booted since", "other machine", "other process space", "host renamed"],
)
def test_life_and_death_are_known_from_boot_process_and_start(change: dict[str, object], expected: bool | None) -> None:
    owner = replace(current_owner(""), **change)  # type: ignore[arg-type]
    assert is_alive(owner) is expected
    assert is_tag_alive(owner_tag(owner)) is expected


def test_a_dead_process_that_nobody_has_reaped_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    stat = Path(f"/proc/{child.pid}/stat")
    started = stat.read_text().rpartition(")")[2].split()[19] if stat.exists() else ""
    child.kill()
    while stat.exists() and ") Z " not in stat.read_text():
        time.sleep(0.01)
    assert is_alive(replace(current_owner(""), process=child.pid, started=started)) is False
    child.communicate()


@pytest.mark.parametrize("name", ["", "mine", "a-b-c-d-e", "a-b-c-d-99999999999999999999", "holdfast.json"])
def test_of_names_that_are_no_tags_nothing_is_known(name: str) -> None:
    assert is_tag_alive(name) is None


def test_ownership_is_written_down_while_it_lasts(workdir: WorkDirectory) -> None:
    held = own(workdir)
    found = read_owner(workdir.owner_path)
    assert found == held.owner
    assert found.process == os.getpid()
    held.release()
    held.release()
    assert not workdir.owner_path.exists()
    own(workdir).release()
    assert os.listdir(workdir.tmp) == []


def test_a_second_session_of_the_same_process_is_refused_and_the_first_keeps_its_lock(
    workdir: WorkDirectory, start: Start
) -> None:
    held = own(workdir)
    with pytest.raises(OwnershipError, match="of this same process"):
        own(workdir)
    with pytest.raises(OwnershipError, match="of this same process"):
        own(open_workdir(workdir.path))
    refused = start(HOLD, workdir.path)
    assert refused.wait(20) == 1
    held.release()


def test_a_second_session_under_another_name_of_the_directory_is_refused(workdir: WorkDirectory) -> None:
    link = workdir.path.parent / "link"
    link.symlink_to(workdir.path)
    held = own(workdir)
    with pytest.raises(OwnershipError):
        own(open_workdir(link))
    held.release()


def test_a_living_owner_is_never_robbed_and_the_refusal_says_who(workdir: WorkDirectory, start: Start) -> None:
    holder = hold(start, workdir)
    with pytest.raises(OwnershipError, match=rf"process {holder.pid} on .* since 20.*Wait until it ends") as refusal:
        own(workdir)
    assert refusal.value.process == holder.pid
    assert refusal.value.host == os.uname().nodename
    assert refusal.value.since.startswith("20")


def test_a_stopped_owner_is_not_robbed(workdir: WorkDirectory, start: Start) -> None:
    holder = hold(start, workdir)
    os.kill(holder.pid, signal.SIGSTOP)
    with pytest.raises(OwnershipError):
        own(workdir)
    os.kill(holder.pid, signal.SIGCONT)


def test_a_killed_owner_holds_nothing_for_more_than_two_seconds(workdir: WorkDirectory, start: Start) -> None:
    holder = hold(start, workdir)
    holder.kill()
    begin = time.monotonic()
    held = own(workdir)
    assert time.monotonic() - begin < 2
    held.release()


def test_what_was_released_elsewhere_can_be_had_at_once(workdir: WorkDirectory, start: Start) -> None:
    holder = hold(start, workdir)
    assert holder.stdin is not None
    assert holder.stdout is not None
    holder.stdin.write("\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == "released\n"
    own(workdir).release()


def test_only_one_of_many_threads_gets_it(workdir: WorkDirectory) -> None:
    won: list[Ownership] = []
    refused: list[OwnershipError] = []

    def attempt() -> None:
        try:
            won.append(own(workdir))
        except OwnershipError as error:
            refused.append(error)

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(refused)) == (1, 7)
    won[0].release()


@pytest.mark.parametrize("change", [{"process": 2**22 + 1}, {"started": "1"}, {"boot": "before"}])
def test_a_dead_owner_that_left_its_name_is_followed_at_once(workdir: WorkDirectory, change: dict[str, object]) -> None:
    write_owner(workdir, replace(current_owner("dead"), **change))  # type: ignore[arg-type]
    held = own(workdir)
    assert read_owner(workdir.owner_path) == held.owner
    held.release()


def test_an_owner_on_another_machine_is_respected_though_its_lock_can_be_had(workdir: WorkDirectory) -> None:
    write_owner(workdir, replace(current_owner("far"), host="elsewhere", boot="other"))
    with pytest.raises(OwnershipError, match=rf"on elsewhere.*holdfast unlock --work {workdir.path}"):
        own(workdir)


def test_an_owner_on_another_machine_gives_way_to_unlock(workdir: WorkDirectory) -> None:
    far = replace(current_owner("far"), host="elsewhere", boot="other")
    write_owner(workdir, far)
    assert unlock(workdir) == [far]
    assert not workdir.owner_path.exists()
    own(workdir).release()
    assert unlock(workdir) == []


def test_unlock_robs_nobody_who_lives_here(workdir: WorkDirectory, start: Start) -> None:
    holder = hold(start, workdir)
    os.kill(holder.pid, signal.SIGSTOP)
    with pytest.raises(OwnershipError, match=f"of process {holder.pid} "):
        unlock(workdir)
    workdir.lock_path.unlink()  # as where locks lock nothing
    with pytest.raises(OwnershipError, match="which is alive"):
        unlock(workdir)
    found = read_owner(workdir.owner_path)
    assert found is not None
    assert found.process == holder.pid


def test_unlock_does_not_rob_its_own_process(workdir: WorkDirectory, start: Start) -> None:
    held = own(workdir)
    with pytest.raises(OwnershipError, match="of this same process"):
        unlock(workdir)
    assert start(HOLD, workdir.path).wait(20) == 1
    held.confirm()
    held.release()


def test_an_owner_notices_that_it_was_followed(workdir: WorkDirectory) -> None:
    held = own(workdir)
    held.confirm()
    write_owner(workdir, replace(current_owner("next"), host="elsewhere", boot="other"))
    with pytest.raises(OwnershipError, match=r"taken from session mine by session next .* on elsewhere") as refusal:
        held.confirm()
    assert refusal.value.host == "elsewhere"
    workdir.owner_path.unlink()
    with pytest.raises(OwnershipError, match="holdfast unlock"):
        held.confirm()
    held.release()


def test_a_living_owner_is_respected_though_its_lock_can_be_had(workdir: WorkDirectory, start: Start) -> None:
    """As on a file system whose locks lock nothing."""
    hold(start, workdir)
    workdir.lock_path.unlink()
    with pytest.raises(OwnershipError, match="end cannot be proven"):
        own(workdir)


def test_an_owner_in_a_container_of_this_machine_is_judged_by_its_lock(workdir: WorkDirectory) -> None:
    write_owner(workdir, replace(current_owner("inside"), host="container", space="pid:[1]"))
    own(workdir).release()


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"[" * 20_000, b'{"host": 1}', b"\xff"])
def test_a_damaged_name_is_no_owner(workdir: WorkDirectory, damage: bytes) -> None:
    workdir.owner_path.write_bytes(damage)
    assert read_owner(workdir.owner_path) is None
    own(workdir).release()


def test_a_process_that_replaced_itself_is_not_in_its_own_way(workdir: WorkDirectory, start: Start) -> None:
    again = HOLD.replace(
        "print", "import os; os.execv(sys.executable, [sys.executable, '-c', sys.argv[2], sys.argv[1]]); print"
    )
    program = start(again, workdir.path, HOLD)
    assert program.stdout is not None
    assert program.stdout.readline() == "held\n"


def test_a_forked_child_takes_nothing_away_from_its_parent(workdir: WorkDirectory) -> None:
    held = own(workdir)
    child = os.fork()
    if child == 0:
        held.release()
        os._exit(0)
    os.waitpid(child, 0)
    assert read_owner(workdir.owner_path) == held.owner
    held.release()


def test_a_forked_child_does_not_own_what_its_parent_owns(workdir: WorkDirectory) -> None:
    held = own(workdir)
    child = os.fork()
    if child == 0:
        try:
            own(workdir)
        except OwnershipError as error:
            os._exit(0 if "same process" not in str(error) else 2)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    held.release()


# beside each other

BESIDE = HOLD.replace('current_owner("other"))', "current_owner(sys.argv[2]), exclusive=False)")


def enter(workdir: WorkDirectory, session: str = "mine") -> Ownership:
    return Ownership.acquire(workdir, current_owner(session), exclusive=False)


def beside(start: Start, workdir: WorkDirectory, session: str) -> subprocess.Popen[str]:
    program = start(BESIDE, workdir.path, session)
    assert program.stdout is not None
    assert program.stdout.readline() == "held\n"
    return program


def names(workdir: WorkDirectory) -> list[str]:
    return sorted(os.listdir(workdir.sessions))


def test_sessions_work_beside_each_other_and_know_who_is_there(workdir: WorkDirectory, start: Start) -> None:
    others = {name: beside(start, workdir, name) for name in ("first", "second")}
    held = enter(workdir)
    assert {owner.session: owner.process for owner in held.others()} == {
        name: program.pid for name, program in others.items()
    }
    assert not held.is_dead("first")
    held.release()
    assert names(workdir) == ["first.json", "second.json"]


def test_one_that_was_killed_is_dead_at_once_and_one_that_is_stopped_is_not(
    workdir: WorkDirectory, start: Start
) -> None:
    killed, stopped = beside(start, workdir, "killed"), beside(start, workdir, "stopped")
    held = enter(workdir)
    os.kill(stopped.pid, signal.SIGSTOP)
    killed.kill()
    killed.wait()
    assert held.is_dead("killed")
    assert not held.is_dead("stopped")
    assert [owner.session for owner in held.others()] == ["stopped"]
    assert held.is_dead("one that never was")
    assert not held.is_dead("mine")
    held.release()


@pytest.mark.parametrize("change", [{"process": 2**22 + 1}, {"started": "1"}, {"boot": "before"}])
def test_a_session_of_a_process_that_is_gone_is_dead_whoever_has_its_number_now(
    workdir: WorkDirectory, change: dict[str, object]
) -> None:
    workdir.sessions.mkdir()
    owner = replace(current_owner("gone"), **change)  # type: ignore[arg-type]
    (workdir.sessions / "gone.json").write_text(json.dumps(asdict(owner)))
    held = enter(workdir)
    assert held.is_dead("gone")
    assert names(workdir) == ["mine.json"]
    held.release()


def test_what_lives_keeps_what_it_has_in_the_folder_and_the_last_takes_everything(
    workdir: WorkDirectory, start: Start
) -> None:
    living, dead = beside(start, workdir, "living"), beside(start, workdir, "dead")
    for name in ("claims.db", "claims.lock"):
        (workdir.sessions / name).touch()
    dead.kill()
    dead.wait()
    enter(workdir).release()
    assert names(workdir) == ["claims.db", "claims.lock", "living.json"]
    living.kill()
    living.wait()
    enter(workdir).release()
    assert names(workdir) == []


def test_nobody_has_alone_what_a_session_works_in(workdir: WorkDirectory, start: Start) -> None:
    other = beside(start, workdir, "other")
    with pytest.raises(OwnershipError, match=f"held by session other of process {other.pid}"):
        own(workdir)
    with pytest.raises(OwnershipError, match=f"of process {other.pid} "):
        unlock(workdir)
    other.kill()
    own(workdir).release()


def test_a_session_waits_at_the_door_while_somebody_has_the_directory_alone(
    workdir: WorkDirectory, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = hold(start, workdir)
    monkeypatch.setattr(ownership, "DOOR_SECONDS", 0.3)
    with pytest.raises(OwnershipError, match=f"held by session other of process {holder.pid}"):
        enter(workdir)
    monkeypatch.setattr(ownership, "DOOR_SECONDS", 30.0)
    entered: list[Ownership] = []
    newcomer = threading.Thread(target=lambda: entered.append(enter(workdir)))
    newcomer.start()
    assert holder.stdin is not None
    holder.stdin.write("\n")
    holder.stdin.flush()
    newcomer.join(30)
    entered[0].release()


def test_a_session_on_another_machine_keeps_everybody_out_until_it_is_unlocked(workdir: WorkDirectory) -> None:
    workdir.sessions.mkdir()
    far = replace(current_owner("far"), host="elsewhere", boot="other")
    (workdir.sessions / "far.json").write_text(json.dumps(asdict(far)))
    for attempt in (enter, own):
        with pytest.raises(OwnershipError, match=rf"on elsewhere.*holdfast unlock --work {workdir.path}"):
            attempt(workdir)
    assert unlock(workdir) == [far]
    enter(workdir).release()


def test_where_locks_lock_nothing_a_living_session_is_respected(workdir: WorkDirectory, start: Start) -> None:
    beside(start, workdir, "other")
    workdir.lock_path.unlink()
    with pytest.raises(OwnershipError, match="end cannot be proven"):
        enter(workdir)


def test_a_forked_child_leaves_its_parent_in(workdir: WorkDirectory) -> None:
    held = enter(workdir)
    child = os.fork()
    if child == 0:
        held.release()
        os._exit(0)
    os.waitpid(child, 0)
    assert names(workdir) == ["mine.json"]
    held.confirm()
    held.release()
