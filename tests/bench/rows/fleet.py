"""The queue in PostgreSQL beside the one in files, in the same rounds."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from contextlib import closing
from functools import partial

from bench import Bench, Case
from figures import Line, Target, line, quantile
from machine import Broken
from queues.fleet import Fleet, postgres, server_cpu, wal_bytes
from queues.own import Agentq
from queues.queue import Queue

from rows.cost import per_task, processor_ms
from rows.latency import Clock

ABOUT = (
    "agentq with its queue in PostgreSQL (on this machine, fsync on) beside its queue in files, in the same rounds; "
    "`server`: its processor time and log for a claim and a finish, to a transaction of `pgbench -N`"
)
WHO = "agentq, fleet"
LEASE_SECONDS = 60


def measure(bench: Bench) -> list[Line]:
    """Ratios to the same with files, and to the server's own smallest work."""
    why = postgres.why_not()
    if why is not None:
        raise Broken(why)
    # Like a server that must not lose anything, on the disk that the files are on.
    bench.machine.scratch.chmod(0o711)
    settings = {"fsync": "on", "autovacuum": "off", "checkpoint_timeout": "1h"}
    cluster = postgres.Cluster(bench.machine.directory("postgres"), settings)
    cluster.create()
    cluster.start()
    try:
        Fleet.cluster, Fleet.program = cluster, bench.kinds["agentq"].program  # type: ignore[attr-defined]
        lines: list[Line] = []
        for part in (rates, processor, submits, batches, starts, follower, server, idle, moved):
            with bench.guarded("fleet", part.__name__):
                lines += part(bench)
        return lines
    finally:
        cluster.stop(signal.SIGQUIT)


def rates(bench: Bench) -> list[Line]:
    """Tasks a second, and with a second supervisor on a second host."""
    count = bench.rounds(300, 60)

    def work(kind: type[Queue], hosts: int = 1, waiting: int = 0, most: int = count) -> float:
        queue = bench.queue(kind)
        if waiting:
            queue.future(waiting)
        queue.fill([("true",)] * most)
        others = [queue.another() for _ in range(hosts - 1)] if isinstance(queue, Fleet) else []
        before = time.perf_counter()
        running = [bench.machine.start(other.call("run", "--drain", "-j", "2")) for other in others]
        queue.work_off(most, 2)
        for process in running:
            process.wait(300)
        return time.perf_counter() - before

    local = bench.kinds["agentq"]
    cases = {
        "files": Case(lambda: work(local)),
        "one": Case(lambda: work(Fleet)),
        "two": Case(lambda: work(Fleet, 2)),
        "full": Case(lambda: work(Fleet, waiting=10_000)),
    }
    found = bench.interleave("fleet, rate", cases, bench.rounds(5, 2))
    rate = {name: {n: count / value for n, value in each.items()} for name, each in found.items()}
    least = [Target(0.8, at_least=True), Target(1.0, at_least=True)]
    return [
        line("fleet", "rate", "agentq", "tasks/s", rate["files"]),
        line("fleet", "rate", WHO, "tasks/s", rate["one"], base=rate["files"], of="files", target=least[0]),
        line("fleet", "two hosts", WHO, "tasks/s", rate["two"], base=rate["one"], of="one host", target=least[1]),
        line("fleet", "10,000 wait", WHO, "s", found["full"], base=found["one"], of="none", target=Target(2.0)),
    ]


def processor(bench: Bench) -> list[Line]:
    """The processor time of a task on its host, that of the server aside."""
    count = bench.rounds(300, 60)
    kinds = {"files": bench.kinds["agentq"], "fleet": Fleet}
    cases = {name: Case(partial(per_task, bench, kind, count, processor_ms)) for name, kind in kinds.items()}
    found = bench.interleave("fleet, processor", cases, bench.rounds(3, 1))
    return [line("fleet", "processor", WHO, "ms", found["fleet"], base=found["files"], of="files")]


def submits(bench: Bench) -> list[Line]:
    """The processor time of a submit."""
    calls = {"files": bench.queue(bench.kinds["agentq"]).submit(("true",))}
    calls["fleet"] = bench.queue(Fleet).submit(("true",))
    for call in calls.values():
        bench.machine.run(call)
    cases = {name: Case(lambda call=call: bench.machine.run(call).cpu * 1000) for name, call in calls.items()}  # type: ignore[misc]
    found = bench.interleave("fleet, submit", cases, bench.rounds(40, 9))
    return [
        line("fleet", "submit, CPU", WHO, "ms", found["fleet"], base=found["files"], of="files", target=Target(1.5))
    ]


def batches(bench: Bench) -> list[Line]:
    """Tasks a second of a batch, and how often it rings."""
    many, rung, rates = 10_000, dict[int, float](), dict[int, float]()
    for number in range(bench.rounds(5, 2)):
        queue = bench.queue(Fleet)
        assert isinstance(queue, Fleet)
        start_up = bench.machine.run(queue.batch(1, 1)).wall
        with closing(queue.cluster.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(f'LISTEN "{queue.schema}"')
            rates[number] = many / max(bench.machine.run(queue.batch(many, 1)).wall - start_up, 1e-9)
            cursor.execute("SELECT 1")
            connection.poll()
            rung[number] = len(connection.notifies)
    enough = Target(3000, at_least=True, of_value=True)
    once = Target(1, of_value=True)
    return [
        line("fleet", "batch of 10,000", WHO, "tasks/s", rates, target=enough),
        line("fleet", "batch, rings", WHO, "", rung, target=once),
    ]


def starts(bench: Bench) -> list[Line]:
    """From a submit that has returned to its command's first act."""
    queues = {"files": bench.queue(bench.kinds["agentq"]), "fleet": bench.queue(Fleet)}
    clocks = {name: Clock(bench.machine) for name in queues}
    waits: dict[str, dict[int, float]] = {name: {} for name in (*queues, "commit")}
    for queue in queues.values():
        queue.serve(2)
    with closing(Fleet.cluster.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE of_bench (at bigint)")
        for number in range(bench.rounds(60, 15)):
            time.sleep(0.05)
            # The server's share of a submit: three messages, and a commit that is on disk.
            begun = time.perf_counter()
            cursor.execute("BEGIN; SELECT pg_advisory_xact_lock(1)")
            cursor.execute("INSERT INTO of_bench VALUES (1)")
            cursor.execute("COMMIT")
            waits["commit"][number] = (time.perf_counter() - begun) * 1000
            for name, queue in queues.items():
                queue.give(clocks[name].command)
                returned = time.time_ns()
                waits[name][number] = max(0.0, (clocks[name].next() - returned) / 1e6)
    for queue in queues.values():
        queue.close()
    base, target = waits["commit"], Target(4.0)
    return [
        line("fleet", "start, p50", "agentq", "ms", waits["files"]),
        line("fleet", "start, p50", WHO, "ms", waits["fleet"], base=base, of="a transaction", target=target),
    ]


def follower(bench: Bench) -> list[Line]:
    """From a line that an agent wrote to a follower on another host."""
    queue = bench.queue(Fleet)
    assert isinstance(queue, Fleet)
    queue.serve(1)
    count = bench.rounds(150, 50)
    queue.give(("sh", "-c", f"sleep 3; for i in $(seq {count}); do date +%s%N; sleep 0.1; done"))
    call = queue.another().call("logs", "-f", "default/1", "--raw")
    process = subprocess.Popen(
        call.argv, env={**bench.machine.environ, **dict(call.env)}, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    late: list[float] = []
    watch = threading.Timer(60 + count, process.kill)
    watch.start()
    assert process.stdout is not None
    for text in process.stdout:
        late.append((time.time_ns() - int(text)) / 1e6)
    watch.cancel()
    process.wait(30)
    queue.close()
    if len(late) < count:
        raise Broken(f"{len(late)} of {count} lines came")
    half, most = ({0: quantile(late, share)} for share in (0.5, 0.99))
    return [
        line("fleet", "follower, p50", WHO, "ms", half, target=Target(250, of_value=True)),
        line("fleet", "follower, p99", WHO, "ms", most, target=Target(600, of_value=True)),
    ]


def server(bench: Bench) -> list[Line]:
    """What a claim and a finish cost the server, to a transaction of pgbench; start and end of `run` are subtracted."""
    cluster = Fleet.cluster
    count = bench.rounds(400, 150)
    where = ("-h", str(cluster.sockets), "-p", str(cluster.port), "-U", postgres.OWNER, "postgres")
    cluster.run("pgbench", "-i", "-q", *where)

    def cost(tasks: int) -> tuple[float, float]:
        queue = bench.queue(Fleet)
        queue.fill([("true",)] * tasks)
        cpu, written = server_cpu(cluster), wal_bytes(cluster)
        queue.work_off(tasks, 2)
        return server_cpu(cluster) - cpu, wal_bytes(cluster) - written

    own, base, wal = dict[int, float](), dict[int, float](), dict[int, float]()
    for number in range(bench.rounds(4, 2)):
        few, many = cost(10), cost(10 + count)
        own[number] = (many[0] - few[0]) * 1e6 / count
        wal[number] = (many[1] - few[1]) / 1024 / count
        cpu = server_cpu(cluster)
        cluster.run("pgbench", "-N", "-n", "-c", "2", "-t", str(5 * count), *where)
        base[number] = (server_cpu(cluster) - cpu) * 1e6 / (10 * count)
    return [
        line("fleet", "server, CPU", WHO, "µs", own, base=base, of="pgbench -N", target=Target(6.0)),
        line("fleet", "server, log", WHO, "KiB", wal, target=Target(4.0, of_value=True)),
    ]


def idle(bench: Bench) -> list[Line]:
    """What a host asks that has nothing to do."""
    queue = bench.queue(Fleet)
    assert isinstance(queue, Fleet)
    queue.serve(2)
    time.sleep(2)
    seconds, commits = 30, "SELECT xact_commit FROM pg_stat_database WHERE datname = 'postgres'"
    ((before,),) = queue.cluster.ask(commits)
    time.sleep(seconds)
    ((after,),) = queue.cluster.ask(commits)
    queue.close()
    # The reading itself is one, and the bench's connection has some of its own.
    asked = {0: max(0.0, float(after - before) - 2)}
    most = Target(seconds / (LEASE_SECONDS / 6) + 1, of_value=True)
    return [line("fleet", f"idle, {seconds} s", WHO, "transactions", asked, target=most)]


def moved(bench: Bench) -> list[Line]:
    """10,000 tasks into the fleet and back."""
    there, back = dict[int, float](), dict[int, float]()
    for number in range(bench.rounds(3, 1)):
        local, fleet = bench.queue(bench.kinds["agentq"]), bench.queue(Fleet)
        assert isinstance(local, Agentq) and isinstance(fleet, Fleet)
        local.fill([("true",)] * 10_000)
        url, state = fleet.cluster.url(), str(local.state)
        there[number] = bench.machine.run(fleet.call("migrate", state, url)).wall
        back[number] = bench.machine.run(fleet.call("migrate", url, state)).wall
    target = Target(3.0, of_value=True)
    return [
        line("fleet", "migrate 10,000", WHO, "s", there, target=target),
        line("fleet", "and back", WHO, "s", back, target=target),
    ]
