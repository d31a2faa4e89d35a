"""The program under test, from outside: an engine of its own, people enrolled in it, the agent, and what it recorded.

In: the binary, pictures to enrol, a configuration. Out: running processes, answers of the engine's REST API, and the
records of visits as `doorward explain --json` prints them. It uses nothing that came after the first program it is to
measure, so that an older one can be compared with; it judges nothing.
"""

import base64
import contextlib
import json
import os
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

ACCOUNT, PASSWORD = "recall", "only for measuring"
# A stop, a start, an enrolment: on a busy machine.
PATIENCE_SECS = 120.0
# Of the programs that have to keep up with a camera: less is sooner, 0 as everybody else.
HASTE = -10


class Engine:
    """A real engine on a free port of loopback, with a throw-away folder."""

    def __init__(self, program: Path, folder: Path):
        self.program = program
        self.password = folder / "password"
        self.password.write_text(PASSWORD)
        data = ["--data", str(folder / "engine")]
        account = ["--username", ACCOUNT, "--role", "Administrator", "--password-file", str(self.password)]
        run([program, "engine", "user", "add", *account, *data])
        command = [program, "engine", "serve", "--listen", "127.0.0.1:0", *data]
        self.log = (folder / "engine.log").open("w")
        self.process = start(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        lines = iter(self.process.stdout.readline, "")
        said = next((line for line in lines if "listening on " in line), None)
        if said is None:
            raise SystemExit(f"the engine did not start; {self.log.name} says why")
        self.url = said.split("listening on ")[1].split()[0]
        self.token = self.ask("authenticate", {"username": ACCOUNT, "password": PASSWORD})["token"]

    def ask(self, path: str, body: dict) -> dict:
        """One request of the REST API."""
        request = urllib.request.Request(f"{self.url}/api/v1/{path}", json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        if getattr(self, "token", None):
            request.add_header("Authorization", f"Bearer {self.token}")
        with urllib.request.urlopen(request, timeout=PATIENCE_SECS) as answer:
            return json.load(answer)

    def enrol(self, photos: dict[str, list[Path]]) -> dict[str, str]:
        """Makes a person of each name, and gives the names by the person's id."""
        names = {}
        for name, files in photos.items():
            person = None
            for file in files:
                command = [self.program, "identities", "enroll", "--json", "--url", self.url, "--username", ACCOUNT]
                command += ["--password-file", self.password, "--photo", file]
                command += ["--person-id", person] if person else ["--first-name", name]
                person = json.loads(run(command).splitlines()[0])["person_id"]
            names[person] = name
        return names

    def faces(self, jpeg: bytes) -> list[tuple[list[float], str | None]]:
        """The faces of a picture: box, and the id of the person, where it is anybody's."""
        found = self.ask("faces/faceDetect", {"image": base64.b64encode(jpeg).decode()})["detections"]
        return [(box(face["boundingBox"]), face.get("personId")) for face in found]

    def stop(self) -> None:
        end(self.process)
        self.log.close()


def box(given) -> list[float]:
    """x, y, width, height."""
    return [given[side] for side in ("x", "y", "width", "height")] if isinstance(given, dict) else given


@contextlib.contextmanager
def engine(program: Path):
    """An engine that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="recall-") as folder:
        running = Engine(program, Path(folder))
        try:
            yield running
        finally:
            running.stop()


def run(command: list) -> str:
    """Runs a command to its end; what it complained about is told where it failed."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_SECS)
    if done.returncode != 0:
        what = " ".join(str(word) for word in command[1:4])
        raise SystemExit(f"`doorward {what}` ended with {done.returncode}: {done.stderr.strip()[-600:]}")
    return done.stdout


def start(command: list, **streams) -> subprocess.Popen:
    """Starts a process that goes before others, where that is permitted: a camera does not wait for a busy machine."""
    # In a session of its own: Linux shares the processors among sessions first, then among the processes of each.
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **streams)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process.pid, HASTE)
        Path(f"/proc/{process.pid}/autogroup").write_text(str(HASTE))
    return process


def end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def searched_ms(program: Path, picture: Path) -> float:
    """How long searching a frame for faces takes on this machine, milliseconds."""
    command = [program, "detect", "--json", "--bench", "50", "--size", "640x480", picture]
    process = start(command, stdout=subprocess.PIPE)
    return json.loads(process.communicate(timeout=PATIENCE_SECS)[0])["bench"]["median_ms"]


def watch(
    program: Path, engine: Engine, lanes: list[Path], subject: str, folder: Path, tell=print, guarded: bool = False
) -> dict:
    """Plays recordings side by side through one agent, in real time, and gives what it recorded of it; `guarded`: with a
    door that opens for whoever two of three answers say the same of."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        status = f"127.0.0.1:{free.getsockname()[1]}"
    config = configure(folder, engine, status, lanes, subject)
    if guarded:
        add_door(folder, config)
    with (folder / "agent.log").open("w") as log:
        agent = start([program, "run", "--config", config], stdout=log, stderr=log)
        try:
            seen, detectors = follow(agent, f"http://{status}/status.json", folder, tell)
        finally:
            end(agent)
    return {"detectors": detectors, "visits": visits(program, config, seen), "opened": opened(folder)}


def add_door(folder: Path, config: Path) -> None:
    """A door with the guard of an outer door; it notes when it was opened, and for which visit."""
    script = folder / "open"
    script.write_text(f'#!/bin/sh\necho "$1 $(date +%s%3N)" >> {folder}/opened\n')
    script.chmod(0o755)
    with config.open("a") as file:
        file.write(f"""
[action.door]
type = "exec"
program = "{script}"
args = ["{{{{ visit }}}}"]
actuator = true
[action.door.guard]
sightings = 2
of = 3
needs_tag = false
# Everybody comes within minutes.
per_minute = 600
[[rule]]
name = "open"
# The same person comes again in the next scene.
cooldown_secs = 0
actions = ["door"]
""")


def opened(folder: Path) -> dict[str, int]:
    """When the door was opened for which visit, on the wall clock in milliseconds."""
    file = folder / "opened"
    lines = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
    return {visit: int(at) for visit, at in lines}


def configure(folder: Path, engine: Engine, status: str, lanes: list[Path], subject: str) -> Path:
    """The default configuration, but for what a recording instead of a camera needs, and who is sent."""
    (folder / "detectors").mkdir()
    for lane in lanes:
        text = f'time_zone = "UTC"\n[camera]\ntype = "replay"\npath = "{lane}"\n'
        (folder / "detectors" / f"{lane.stem}.toml").write_text(text)
    config = folder / "doorward.toml"
    config.write_text(f"""state_dir = "{folder}/state"
[log]
filter = "warn"
[status]
listen = "{status}"
[identities]
url = "{engine.url}"
username = "{ACCOUNT}"
password = "{PASSWORD}"
[detector.track]
subject = "{subject}"
""")
    return config


def follow(agent: subprocess.Popen, url: str, folder: Path, tell) -> tuple[set[str], list[dict]]:
    """Waits until every recording is over and every visit closed; gives the visits' ids, and how the detectors did."""
    seen: set[str] = set()
    quiet_since, started = None, time.monotonic()
    while True:
        if agent.poll() is not None:
            log = (folder / "agent.log").read_text()
            raise SystemExit(f"doorward ended while the recordings were playing: {log[-600:]}")
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(url, timeout=10) as answer:
                status = json.load(answer)
            started = time.monotonic()
            seen |= {visit["visit"] for visit in status["visits"]}
            over = all(detector["camera"] == "ended" for detector in status["detectors"])
            closed = all(visit["outcome"] for visit in status["visits"]) and status["outbox"]["pending"] == 0
            quiet_since = (quiet_since or time.monotonic()) if over and closed else None
            # What the last frame's answers led to has a moment to be written down.
            if quiet_since and time.monotonic() - quiet_since > 3.0:
                return seen, status["detectors"]
            tell(f"{len(seen)} visits so far")
        if time.monotonic() - started > PATIENCE_SECS:
            raise SystemExit(f"doorward's status page has not answered for {PATIENCE_SECS:.0f} s")
        time.sleep(1.0)


def visits(program: Path, config: Path, seen: set[str]) -> list[dict]:
    """What was recorded of each visit. `explain` tells of twenty at once; nine digits of an id are four seconds."""
    records = {}
    for prefix in sorted({visit[:10] for visit in seen}):
        for line in run([program, "explain", "--json", "--config", config, prefix]).splitlines():
            record = json.loads(line)
            records[record["visit"]] = record
    missing = seen - set(records)
    if missing:
        raise SystemExit(f"`doorward explain` knows nothing of {len(missing)} visits that were on the status page")
    return [records[visit] for visit in sorted(records)]
