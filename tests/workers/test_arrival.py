import contextlib
import errno
import json
import select
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from kerasrun.errors import DataError, LostWorkerError, WorkersError
from kerasrun.workers import arrival
from kerasrun.workers.arrival import failure_told, hear_this_machine_alone, run_of_leader, wait_for_all
from kerasrun.workers.cluster import Place, free_addresses


def wait_in_each(places, seconds=20.0, failures=()):
    """What each process that waits, or fails before it does, ends with: None or an error, in order.

    `failures` has the message of each that fails, by rank.
    """
    ends = [None] * len(places)

    def wait(number, place):
        place = replace(place, seconds_to_come=seconds)
        try:
            with failure_told(place):
                if place.rank in failures:
                    raise DataError(failures[place.rank])
                wait_for_all(place)
        except (DataError, LostWorkerError, WorkersError) as error:
            ends[number] = error

    threads = [
        threading.Thread(target=wait, args=(number, place), name=f"rank {place.rank}")
        for number, place in enumerate(places)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends


def cluster(count):
    addresses = free_addresses(count)
    return [Place(rank, count, addresses) for rank in range(count)]


def test_all_that_come_begin():
    assert wait_in_each(cluster(3)) == [None, None, None]


def test_the_ports_are_free_again_afterwards():
    places = cluster(2)
    wait_in_each(places)
    assert wait_in_each(places) == [None, None]


def test_all_are_told_who_has_not_come():
    places = cluster(3)
    leader, follower = wait_in_each(places[:2], seconds=1)
    assert str(leader) == str(follower) == f"nothing was heard of worker 2 ({places[2].addresses[2]}) within 1 s"
    assert type(leader) is type(follower) is LostWorkerError


def test_rank_0_that_does_not_come_is_named():
    places = cluster(3)
    said = {str(error) for error in wait_in_each(places[1:], seconds=1)}
    assert said == {f"nothing was heard of worker 0 ({places[0].addresses[0]}) within 1 s"}


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_all_end_at_once_where_one_fails_before_it_has_come(failing):
    places, message = cluster(3), "a.npz:\x1b[2J\nnone" + "x" * 10_000
    begin = time.monotonic()
    ends = wait_in_each(places, failures={failing: message})
    assert time.monotonic() - begin < 10
    assert str(ends.pop(failing)) == message
    for end in ends:
        assert type(end) is WorkersError
        said = f"worker {failing} ({places[failing].addresses[failing]}) has failed: a.npz:\\x1b[2J nonexxx"
        assert str(end).startswith(said)
        assert len(str(end)) < 600


def test_where_all_fail_each_says_why_itself():
    assert [str(end) for end in wait_in_each(cluster(3), failures={0: "a", 1: "b", 2: "c"})] == ["a", "b", "c"]


@pytest.mark.parametrize("rank", [0, 1])
def test_who_fails_waits_for_the_others_no_longer_than_they_would(rank):
    (end,) = wait_in_each([cluster(2)[rank]], seconds=1, failures={rank: "a"})
    assert (type(end), str(end)) == (DataError, "a")


def test_those_that_come_after_a_failure_are_told_too():
    places = cluster(3)
    first = threading.Thread(target=wait_in_each, args=(places[:2],), kwargs={"failures": {1: "a"}})
    first.start()
    time.sleep(1)
    (end,) = wait_in_each(places[2:])
    first.join()
    assert str(end) == f"worker 1 ({places[1].addresses[1]}) has failed: a"


def test_all_have_the_run_of_rank_0():
    places, run = cluster(3), {"resolved": "seed: 1\n", "plugins": {"own.py": "x" * 10**6}}
    with ThreadPoolExecutor() as threads:
        found = list(threads.map(run_of_leader, places, [run, None, None]))
    assert found == [run] * 3


@pytest.mark.parametrize("given", [{"seed": 1}, None])
def test_to_resume_and_to_train_do_not_go_together(given):
    places = [replace(place, seconds_to_come=5) for place in cluster(2)]
    calls = [run_of_leader, wait_for_all] if given else [wait_for_all, run_of_leader]
    with ThreadPoolExecutor() as threads:
        ends = [
            threads.submit(call, *args)
            for call, args in zip(calls, [(places[0], *([given] if given else [])), (places[1],)], strict=True)
        ]
    said = {str(end.exception()) for end in ends}
    does, leader = ("trains", "resumes") if given else ("resumes", "trains")
    assert said == {
        f"worker 1 ({places[1].addresses[1]}) {does} a run, and rank 0 {leader} one: start all with the same command"
    }


def connected(place):
    """A connection to rank 0."""
    host, _, port = place.addresses[0].rpartition(":")
    return socket.create_connection((host, int(port)))


def hello(rank, place, seconds=0.0):
    """A connection to rank 0 that says it is of this rank; it may take seconds until rank 0 is there."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            connection = connected(place)
            break
        except ConnectionRefusedError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.02)
    connection.sendall(json.dumps({"rank": rank, "addresses": place.addresses}).encode() + b"\n")
    return connection


@pytest.fixture
def leader():
    """The place of rank 0 of three, which waits in a thread."""
    place = cluster(3)[0]
    thread = threading.Thread(target=wait_in_each, args=([place],))
    thread.start()
    hello("no rank", place, seconds=10).close()
    yield place
    thread.join()


def test_two_processes_of_one_rank_are_refused(leader):
    with hello(1, leader) as first, hello(1, leader) as second, first.makefile() as one, second.makefile() as other:
        said = json.loads(one.readline())
        assert said == json.loads(other.readline())
    assert said["wrong"].startswith(f"two processes say that they are worker 1 ({leader.addresses[1]}): ")


@pytest.mark.parametrize("rank", [0, 1])
def test_one_with_another_list_of_addresses_is_refused_alone(rank, caplog):
    """Whoever reaches the port can say such a line, and must not end the others."""
    places = cluster(2)
    with ThreadPoolExecutor() as threads:
        first = threads.submit(wait_in_each, places[:1])
        other = Place(0, 2, (places[0].addresses[0], "a:1"))
        with hello(rank, other, seconds=10) as connection, connection.makefile() as file:
            said = json.loads(file.readline())
        assert wait_in_each(places[1:]) + first.result() == [None, None]
    wrong = f"worker {rank} ({places[0].addresses[rank]}) has another list of addresses than rank 0: "
    assert said["wrong"].startswith(wrong)
    assert wrong in caplog.text


def test_the_list_of_one_that_was_refused_is_told_where_none_comes_in_its_place():
    place = cluster(2)[0]
    with ThreadPoolExecutor() as threads:
        end = threads.submit(wait_in_each, [place], seconds=1)
        hello(1, Place(0, 2, (place.addresses[0], "a:1")), seconds=10).close()
        assert "within 1 s; worker 1 " in str(end.result()[0])


def test_who_does_not_know_the_secret_of_the_job_is_no_worker(monkeypatch):
    places = cluster(2)
    monkeypatch.setenv(arrival.JOB, "a")
    with ThreadPoolExecutor() as threads:
        first = threads.submit(wait_in_each, places[:1])
        with hello(1, places[0], seconds=10) as connection:  # without a secret, but with the right list
            assert connection.recv(1) == b""
        assert wait_in_each(places[1:]) + first.result() == [None, None]


def test_many_silent_connections_keep_no_worker_out(monkeypatch):
    places = cluster(2)
    monkeypatch.setattr(arrival, "_MOST_UNKNOWN", 1)
    with ThreadPoolExecutor() as threads, ExitStack() as stack:
        first = threads.submit(wait_in_each, places[:1])
        hello("no rank", places[0], seconds=10).close()
        silent = [stack.enter_context(connected(places[0])) for _ in range(3)]
        assert silent[0].recv(1) == b""
        assert wait_in_each(places[1:]) + first.result() == [None, None]


def test_one_that_does_not_answer_at_its_address_is_refused(leader):
    with hello(1, leader) as first, hello(2, leader), first.makefile() as file:
        said = json.loads(file.readline())
    assert said["wrong"] == (
        f"worker 1 ({leader.addresses[1]}) has come, but worker 0 ({leader.addresses[0]}) does not reach it at this "
        "address: Connection refused"
    )


def test_two_that_do_not_reach_each_other_are_named_though_rank_0_reaches_both(monkeypatch):
    places, connect, wait = cluster(3), socket.create_connection, select.select

    def refused(target, timeout):
        if threading.current_thread().name == "rank 1" and f"127.0.0.1:{target[1]}" == places[2].addresses[2]:
            raise TimeoutError(errno.ETIMEDOUT, "")
        return connect(target, timeout)

    def late(*arguments):
        if threading.current_thread().name == "rank 2":
            time.sleep(1)  # worker 1 has answered long before this one reads what it is asked
        return wait(*arguments)

    monkeypatch.setattr(socket, "create_connection", refused)
    monkeypatch.setattr(select, "select", late)
    (said,) = {str(error) for error in wait_in_each(places)}
    first, second = places[0].addresses[1:]
    assert said == (
        f"worker 2 ({second}) has come, but worker 1 ({first}) does not reach it at this address: Connection timed out"
    )


def test_one_that_goes_while_all_try_to_reach_each_other_is_lost(leader):
    with ExitStack() as stack:
        files = []
        for rank in (1, 2):
            port = int(leader.addresses[rank].rpartition(":")[2])
            stack.enter_context(socket.create_server(("127.0.0.1", port)))
            files.append(stack.enter_context(hello(rank, leader)).makefile("rw"))
        assert [json.loads(file.readline()) for file in files] == [{"reach": True}] * 2
        files[1].write('{"unreached": null}\n')
        files[1].flush()
        files[0].write("\n")
        files[0].flush()
        said = json.loads(files[1].readline())
    assert said == {"lost": f"worker 1 ({leader.addresses[1]}) has come, but nothing was heard of it since"}


def test_one_that_was_killed_while_it_waited_may_come_again(leader):
    for _ in range(2):
        hello(1, leader).close()
    others = wait_in_each([Place(rank, 3, leader.addresses) for rank in (1, 2)])
    assert others == [None, None]


def test_a_taken_port_is_refused():
    place = cluster(2)[0]
    with socket.create_server(("", int(place.addresses[0].rpartition(":")[2]))):
        (error,) = wait_in_each([place])
    assert str(error) == f"worker 0 ({place.addresses[0]}) cannot listen at its port: Address already in use"


@pytest.mark.parametrize(
    "line",
    [
        *(b"[" * 65_000, b"[" * 70_000, b'{"rank": 1}', b'{"rank": true, "addresses": []}'),
        *(b'{"rank": 1, "addresses": 2}', b'{"job": "\\ud800"}'),
    ],
    ids=["nested", "long", "bare", "bool", "number", "half a character"],
)
def test_whatever_else_speaks_to_the_port_is_no_worker(leader, line):
    with connected(leader) as stranger:
        stranger.sendall(line + b"\n")
        assert wait_in_each([Place(rank, 3, leader.addresses) for rank in (1, 2)]) == [None, None]


def test_one_that_speaks_slowly_keeps_nobody_waiting(leader):
    come = threading.Event()

    def speak():
        with connected(leader) as stranger, contextlib.suppress(OSError):
            while not come.wait(0.05):
                stranger.sendall(b" ")

    slow = threading.Thread(target=speak)
    slow.start()
    assert wait_in_each([Place(rank, 3, leader.addresses) for rank in (1, 2)]) == [None, None]
    come.set()
    slow.join()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a device for this machine alone")
def test_what_listens_for_this_machine_hears_nobody_else():
    with socket.create_server(("", 0)) as listener, socket.create_server(("", 0)) as other:
        port, opened = listener.getsockname()[1], len(list(Path("/proc/self/fd").iterdir()))
        hear_this_machine_alone(port)
        assert len(list(Path("/proc/self/fd").iterdir())) == opened
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).startswith(b"lo\0")
        assert not other.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).strip(b"\0")
        socket.create_connection(("127.0.0.1", port), 5).close()
