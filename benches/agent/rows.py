"""The rows: what is measured of the whole agent, each beside its alternatives, which take turns with it.

In: a bench with everything that is needed to run both agents. Out: figures. What is drawn, how an agent is run and what
the kernel says of it is elsewhere.
"""

import json
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from clips import FULL_HD, HD, VISIT_SECS, Clips, count
from delay import Proxy
from figures import Figure, Wanted, percentile, slope, worse_than_linear
from running import Doorward, Plain, Running, decoding, door, replay, replay_plain

PYTHON, UNGATED, DECODING = "Python", "without the motion gate", "decoding alone"
# Each agent's turns, of which the median counts; starts are short, and differ more.
TURNS, STARTS = 2, 7
# From the first searched frame until an agent runs as it always will.
WARM_SECS = 4.0
# More frames dropped than this, and an agent has not done the work that is measured.
MOST_DROPPED = 0.02
CAMERAS = (1, 2, 4, 8)
FACES = (1, 2, 5, 10, 20)
# Recordings are played again until they have so many frames, so that a start is a small part of it.
RECORDED_FRAMES, CROWD_FRAMES = 1000, 300
# What is asked of the engine and its answer are under way for so long together.
ENGINE_AWAY_SECS = 0.150


@dataclass
class Bench:
    """What the rows are measured with."""

    program: Path
    models: Path
    shared: Path | None
    # How long a live agent is watched in each turn, and a loop of visits altogether.
    seconds: float
    flat_seconds: float
    engine: door.Engine
    clips: Clips
    say: Callable[[str], None]

    def doorward(self, clips: list[Path], **more) -> Doorward:
        return Doorward(self.program, self.engine.url, clips, **more)

    def alternatives(self, clip: Path) -> dict[str, Callable[[], Running]]:
        """The agent in Python, where there is the model OpenCV's face detector reads."""
        if self.has_plain():
            return {PYTHON: lambda: Plain(self.models, self.engine, clip)}
        return {}

    def has_plain(self) -> bool:
        return all((self.models / f"{name}.onnx").exists() for name in ("yunet_n", "mobilefacenet"))


def turns(of: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """The median of what each gives, one after the other in each round."""
    given: dict[str, list[float]] = {name: [] for name in of}
    for _ in range(rounds):
        for name, measure in of.items():
            given[name].append(measure())
    return {name: statistics.median(values) for name, values in given.items()}


def cpu(bench: Bench, row: str, what: str, clip: Path, most: float) -> list[Figure]:
    """What watching a clip takes of a core, with the motion gate, without it, in Python, and merely decoding it."""

    def busy(start: Callable[[], Running]) -> Callable[[], float]:
        def measure() -> float:
            with start() as agent:
                time.sleep(WARM_SECS)
                taken = agent.busy(bench.seconds)
                if agent.dropped() > MOST_DROPPED:
                    whose = "doorward" if isinstance(agent, Doorward) else PYTHON
                    bench.say(f"{row}: {agent.dropped():.0%} of the frames came too fast for {whose}: it takes more")
                return taken
        return measure

    starts: dict[str, Callable[[], Running]] = {
        "doorward": lambda: bench.doorward([clip]),
        UNGATED: lambda: bench.doorward([clip], gate=False),
        **bench.alternatives(clip),
    }
    measures = {name: busy(start) for name, start in starts.items()}
    taken = turns({**measures, DECODING: lambda: decoding(clip)}, TURNS)
    return [Figure(row, what, taken.pop("doorward"), "% of a core", taken, Wanted(most))]


def idle(bench: Bench) -> list[Figure]:
    return cpu(bench, "idle", "640x480 at 15 a second, H.264, nobody there", bench.clips.idle(), 4)


def visitor(bench: Bench) -> list[Figure]:
    what = "the same, somebody walking about all the time"
    return cpu(bench, "visitor", what, bench.clips.visitor(), 25)


def idle_1080p(bench: Bench) -> list[Figure]:
    clip = bench.clips.idle(FULL_HD, 25, secs=8)
    return cpu(bench, "idle-1080p", "1920x1080 at 25 a second, H.264, nobody there", clip, 12)


def memory(bench: Bench) -> list[Figure]:
    """Of one camera, of each further one, and how much more after many visits."""
    clip, unit = bench.clips.visits(), "MiB"

    def resident(start: Callable[[], Running]):
        with start() as agent:
            time.sleep(WARM_SECS + 2 * bench.seconds)
            return agent.memory()

    plain = {name: resident(start) for name, start in bench.alternatives(clip).items()}
    cameras = {n: resident(lambda n=n: bench.doorward([clip] * n)) for n in CAMERAS}
    one, per_camera = cameras[1], slope([(n, it.all) for n, it in cameras.items()])
    all_of_it, own = ({name: getattr(it, part) for name, it in plain.items()} for part in ("all", "own"))
    what = "resident, one 640x480 camera with visits, the embedding sent along"
    return [
        Figure("memory", what, one.all, unit, all_of_it, Wanted(90)),
        Figure("memory", "of it beyond clean pages of program, libraries and models", one.own, unit, own, Wanted(60)),
        Figure("memory", f"each further camera (1 to {CAMERAS[-1]})", per_camera, unit, {}, Wanted(15)),
        flat(bench, clip),
    ]


def flat(bench: Bench, clip: Path) -> Figure:
    """How much more memory is taken after a time with visits, one after the other, than once some of them are over."""
    with bench.doorward([clip]) as agent:
        time.sleep(4 * VISIT_SECS)
        first = agent.memory().own
        time.sleep(bench.flat_seconds)
        last = agent.memory().own
    visits = bench.flat_seconds / VISIT_SECS
    return Figure("memory", f"beyond clean pages, {visits:.0f} visits later", last, "MiB", {"at the beginning": first})


def recording(bench: Bench) -> Iterator[Figure]:
    """Recordings as fast as they can be searched, and the most memory that takes, through the same engine."""
    clips = [bench.clips.visits(), bench.clips.visits(HD)]
    if bench.shared:
        clips += sorted(it for it in (bench.shared / "video").iterdir() if it.suffix in (".avi", ".mp4"))
    for clip in clips:
        yield from recording_of(bench, clip)


def recording_of(bench: Bench, once: Path) -> list[Figure]:
    clip = bench.clips.again(once, RECORDED_FRAMES)
    frames, name = count(clip), once.stem
    # Of the whole process, with its start and its end; in Python the frames are counted from the first one on.
    played = replay(bench.program, bench.engine.url, clip)
    rate, others, peaks, costs = frames / played.seconds, {}, {}, {}
    if bench.has_plain():
        plain, told = replay_plain(bench.models, bench.engine, clip)
        others = {PYTHON: told["frames"] / told["seconds"]}
        peaks, costs = {PYTHON: plain.peak_mib}, {PYTHON: 1000 * plain.cpu_seconds / frames}
    return [
        Figure("recording", name, rate, "frames/s", others, Wanted(4, most=False), PYTHON),
        Figure("recording", f"{name}, of a processor", 1000 * played.cpu_seconds / frames, "ms/frame", costs),
        Figure("recording", f"{name}, memory at most", played.peak_mib, "MiB", peaks, Wanted(0.5), PYTHON),
    ]


def latency(bench: Bench) -> list[Figure]:
    """From the first frame with the face to the action, with an engine that is far away."""
    engine = urlsplit(bench.engine.url)
    proxy, heard = Proxy(engine.hostname, engine.port, ENGINE_AWAY_SECS), Heard()
    rule = f"""
[action.hook]
type = "webhook"
url = "{heard.url}"
[[rule]]
name = "everybody known"
cooldown_secs = 0
actions = ["hook"]
when = {{ outcome = ["known"] }}
"""
    try:
        url = f"http://127.0.0.1:{proxy.port}"
        with Doorward(bench.program, url, [bench.clips.visits()], more=rule) as agent:
            time.sleep(max(12 * bench.seconds, 60))
            records = agent.visits(set(heard.at))
    finally:
        heard.close()
        proxy.close()
    took = [1000 * (heard.at[it["visit"]] - seconds_of(it["first_seen"])) for it in records]
    if len(took) < 5:
        raise SystemExit(f"latency: only {len(took)} visits ended in an action")
    bench.say(f"latency: {len(took)} visits, {', '.join(f'{it:.0f}' for it in sorted(took))} ms")
    what = f"first face to action, engine {1000 * ENGINE_AWAY_SECS:.0f} ms away"
    return [
        Figure("latency", f"{what}, p50", percentile(took, 50), "ms", {}, Wanted(450)),
        Figure("latency", f"{what}, p95", percentile(took, 95), "ms", {}, Wanted(900)),
    ]


def seconds_of(utc: str) -> float:
    """Seconds since 1970."""
    return datetime.fromisoformat(utc).timestamp()


class Heard:
    """A receiver of webhooks on loopback: when each visit's first one came."""

    def __init__(self):
        self.at: dict[str, float] = {}
        heard = self.at

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):  # noqa: N802, the name the standard library asks for
                now = time.time()
                event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                heard.setdefault(event["visit"], now)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, name="webhooks", daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def start(bench: Bench) -> list[Figure]:
    """From the start of the process to its first searched frame."""
    clip = bench.clips.idle()

    def took(begin: Callable[[], Running]) -> Callable[[], float]:
        def measure() -> float:
            with begin() as agent:
                return agent.started_secs
        return measure

    starts = {"doorward": lambda: bench.doorward([clip]), **bench.alternatives(clip)}
    seconds = turns({name: took(begin) for name, begin in starts.items()}, STARTS)
    what = "process start to the first searched frame"
    return [Figure("start", what, seconds.pop("doorward"), "s", seconds, Wanted(0.5))]


def work(bench: Bench) -> Iterator[Figure]:
    """What more cameras and more faces cost, and whether that is worse than linear."""
    clip = bench.clips.idle()

    def busy(cameras: int) -> float:
        with bench.doorward([clip] * cameras) as agent:
            time.sleep(WARM_SECS)
            return agent.busy(bench.seconds)

    yield from growth(bench, "cameras, nobody there", "% of a core", [(n, busy(n)) for n in CAMERAS])
    for moving in (True, False):
        costs = [(n, ms_a_frame(bench, bench.clips.crowd(n, moving))) for n in FACES]
        yield from growth(bench, f"faces that {'move' if moving else 'stand still'}, 1280x720", "ms/frame", costs)


def ms_a_frame(bench: Bench, clip: Path) -> float:
    """What one frame of a clip takes of a processor in the whole agent, with no engine to ask."""
    # Of the clip as it is, and of many times it: the difference has no start in it.
    once = replay(bench.program, bench.engine.url, clip, "--dry-run")
    more = bench.clips.again(clip, CROWD_FRAMES)
    many = replay(bench.program, bench.engine.url, more, "--dry-run")
    return 1000 * (many.cpu_seconds - once.cpu_seconds) / (count(more) - count(clip))


def growth(bench: Bench, what: str, unit: str, costs: list[tuple[float, float]]) -> list[Figure]:
    """A figure for each amount of work; steps that are worse than linear are told."""
    for work, more in worse_than_linear(costs):
        bench.say(f"work: {what}: from {work} to {more} it is worse than linear")
    (least, first), *others = costs
    figures = [Figure("work", f"{what}: {least}", first, unit)]
    return figures + [Figure("work", f"{what}: {n}", cost, unit, {f"that of {least}": first}) for n, cost in others]


ROWS: dict[str, Callable[[Bench], Iterable[Figure]]] = {
    "idle": idle,
    "visitor": visitor,
    "idle-1080p": idle_1080p,
    "memory": memory,
    "recording": recording,
    "latency": latency,
    "start": start,
    "work": work,
}
