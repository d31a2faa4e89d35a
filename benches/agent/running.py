"""The two agents, running: doorward from its binary, and the plain one in Python.

In: clips, an engine, and what to configure. Out: processes that have searched their first frame, and what they tell of
themselves. Both are started alike, by `tests/recall`, before others where that is permitted.
"""

import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import av

import process
from clips import ROOT

import program as door  # from tests/recall, whose folder `clips` has put on the path

PLAIN = ROOT / "benches/python_agent.py"
# Until the first frame is searched, on a busy machine.
PATIENCE_SECS = 60.0
# How often it is looked whether it is.
LOOK_SECS = 0.005


class Running:
    """A process that is watching; with `with`, it is ended afterwards. `started_secs`: to the first searched frame."""

    process: subprocess.Popen
    started_secs: float

    def __enter__(self):
        return self

    def __exit__(self, *_):
        door.end(self.process)

    def memory(self) -> process.Memory:
        self.check()
        return process.memory(self.process.pid)

    def busy(self, seconds: float) -> float:
        """Percent of one core that it takes during the next so many seconds."""
        self.check()
        before, began = process.cpu_seconds(self.process.pid), time.monotonic()
        time.sleep(seconds)
        self.check()
        return 100 * (process.cpu_seconds(self.process.pid) - before) / (time.monotonic() - began)

    def check(self):
        if self.process.poll() is not None:
            raise SystemExit(f"an agent ended by itself, with {self.process.returncode}: {self.complaint()}")

    def dropped(self) -> float:
        """Of all frames the share that came too fast for it."""
        raise NotImplementedError

    def complaint(self) -> str:
        return self.log.read_text()[-600:].strip()


class Doorward(Running):
    """`doorward run` with a detector for each clip, which is played at its own pace again and again."""

    def __init__(self, binary: Path, url: str, clips: list[Path], gate: bool = True, more: str = ""):
        self.binary, self.scratch = binary, tempfile.TemporaryDirectory(prefix="bench-")
        folder = Path(self.scratch.name)
        self.log, self.status = folder / "agent.log", f"127.0.0.1:{free_port()}"
        self.config = configure(folder, clips, gate, status=self.status, url=url, more=more)
        began = time.perf_counter()
        with self.log.open("w") as log:
            self.process = door.start([binary, "run", "--config", self.config], stdout=log, stderr=log)
        try:
            while self.metric("doorward_detect_frames_total") == 0:
                self.check()
                if time.perf_counter() - began > PATIENCE_SECS:
                    raise SystemExit(f"doorward has not searched a frame in {PATIENCE_SECS:.0f} s: {self.complaint()}")
                time.sleep(LOOK_SECS)
        except BaseException:
            door.end(self.process)
            raise
        self.started_secs = time.perf_counter() - began

    def metric(self, name: str) -> float:
        """The sum over a metric's labels; 0 while nobody answers or it was never counted."""
        try:
            with urllib.request.urlopen(f"http://{self.status}/metrics", timeout=10) as answer:
                return summed(answer.read().decode(), name)
        except OSError:
            return 0.0

    def dropped(self) -> float:
        return self.metric("doorward_capture_dropped_total") / max(self.metric("doorward_capture_frames_total"), 1)

    def visits(self, seen: set[str]) -> list[dict]:
        """What it recorded of these visits."""
        return door.visits(self.binary, self.config, seen)

    def __exit__(self, *_):
        door.end(self.process)
        self.scratch.cleanup()


class Plain(Running):
    """`benches/python_agent.py --live` with one clip."""

    def __init__(self, models: Path, engine: door.Engine, clip: Path):
        self.scratch = tempfile.TemporaryDirectory(prefix="bench-")
        self.log, self.said = Path(self.scratch.name, "log"), Path(self.scratch.name, "said")
        began = time.perf_counter()
        with self.log.open("w") as log, self.said.open("w") as said:
            self.process = door.start(plain(models, engine, clip, "--live"), stdout=said, stderr=log)
        # It says so when it has searched its first frame.
        while not self.said.stat().st_size:
            self.check()
            time.sleep(LOOK_SECS)
        self.started_secs = time.perf_counter() - began

    def dropped(self) -> float:
        told = [json.loads(line) for line in self.said.read_text().splitlines() if line.startswith("{")]
        return told[-1]["passed_over"] / told[-1]["frames"] if told else 0.0

    def __exit__(self, *_):
        door.end(self.process)
        self.scratch.cleanup()


def plain(models: Path, engine: door.Engine, clip: Path, *more: str) -> list:
    """The command of the agent in Python."""
    command = [sys.executable, PLAIN, clip, "--models", models, "--engine", engine.url]
    return [*command, "--username", door.ACCOUNT, "--password-file", engine.password, *more]


def configure(folder: Path, clips: list[Path], gate: bool, status: str | None, url: str, more: str) -> Path:
    """The default configuration, but for the recordings, and that the embedding is sent along."""
    (folder / "detectors").mkdir()
    for number, clip in enumerate(clips):
        text = f'time_zone = "UTC"\n[camera]\ntype = "replay"\npath = "{clip}"\nloop = true\n'
        text += f"[detect]\nmotion_gate = {str(gate).lower()}\n[identify]\nsend_embedding = true\n"
        (folder / "detectors" / f"door{number}.toml").write_text(text)
    config = folder / "doorward.toml"
    listen = f'listen = "{status}"\n' if status else ""
    config.write_text(f"""state_dir = "{folder}/state"
[log]
filter = "warn"
[status]
{listen}[identities]
url = "{url}"
username = "{door.ACCOUNT}"
password = "{door.PASSWORD}"
{more}""")
    return config


class Played:
    """A process that ran to its end: what it printed, its seconds, those of the processors, and its memory at most."""

    def __init__(self, command: list):
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as complaints:
            began, self.peak_mib = time.perf_counter(), 0.0
            running = door.start(command, stdout=out, stderr=complaints)
            # Not reaped until its last figures are taken.
            while not has_ended(running.pid):
                self.peak_mib = max(self.peak_mib, process.peak_mib(running.pid) or 0.0)
                time.sleep(LOOK_SECS)
            self.seconds = time.perf_counter() - began
            self.cpu_seconds = process.cpu_seconds(running.pid)
            if running.wait() != 0:
                complaints.seek(0)
                raise SystemExit(f"{command[0]} ended with {running.returncode}: {complaints.read()[-600:].strip()}")
            out.seek(0)
            self.lines = out.read().splitlines()


def replay(binary: Path, url: str, clip: Path, *more: str) -> Played:
    """`doorward replay`: a clip through the whole agent, as fast as it can."""
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        config = configure(Path(scratch), [clip], gate=True, status=None, url=url, more="")
        return Played([binary, "replay", "--config", config, "--input", clip, "--json", *more])


def replay_plain(models: Path, engine: door.Engine, clip: Path) -> tuple[Played, dict]:
    """The same through the agent in Python, and what it says of itself."""
    played = Played(plain(models, engine, clip))
    return played, json.loads(played.lines[-1])


def decoding(clip: Path) -> float:
    """Percent of one core that FFmpeg alone takes to decode a clip at its pace: what no agent can do without."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        began = time.process_time()
        frames = sum(1 for _ in container.decode(stream))
        return 100 * (time.process_time() - began) / float(frames / stream.average_rate)


def has_ended(pid: int) -> bool:
    """Whether a child is over and waits to be reaped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def summed(metrics: str, name: str) -> float:
    """The sum over all series of a name, in Prometheus' text."""
    lines = [line for line in metrics.splitlines() if line.partition(" ")[0].partition("{")[0] == name]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
