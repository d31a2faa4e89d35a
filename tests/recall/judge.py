"""What became of every visit, in figures: of one program by itself, and beside those of another.

In: the truth of a set (who is where in which frame), who could be recognised, and what a program recorded of playing
it. Out: an outcome per visit, figures per kind of visit and in all, and which of the bounds are missed. Pure: it opens
no file and starts nothing.
"""

import math
from dataclasses import dataclass, field
from datetime import datetime
from statistics import mean, median

from truth import USABLE_PX, key

# What issue 11 asks for: recognised of recognisable, calls per visit of somebody known, and of a stranger.
MIN_RECOGNISED, MAX_KNOWN_CALLS, MAX_STRANGER_CALLS = 0.98, 2.2, 4.5
# And from the first right answer to a door that two of three answers open, for so many of those who are recognised: the
# others' pictures leave it open who they are, and the door waits for more.
DOOR_MS, MIN_SOON = 1500, 0.95
# An answer's time is measured with whatever else the machine does: a difference of two frames is none.
NO_LATER_MS = 2000 / 15
# A frame may be counted one off where a recording's clock is rounded.
FRAMES_OFF = (0, -1, 1)
# A shot is of the nearest face whose centre is no further off than this share of its height.
NEAR = 0.8


@dataclass
class Outcome:
    """What became of one person's visit."""

    key: str
    kind: str
    enrolled: bool
    recognisable: bool
    # Names the engine gave: right ones and others.
    right: bool = False
    wrong: set[str] = field(default_factory=set)
    calls: int = 0
    # The program's own visits of this person.
    visits: set[str] = field(default_factory=set)
    # From the first frame with a face tall enough to the first right answer, milliseconds.
    first_right_ms: float | None = None
    # On the wall clock, milliseconds: the first right answer, and the door that two of three answers open.
    answered: float | None = None
    opened: float | None = None
    # Why the door stayed shut, at its last answer.
    shut: str | None = None
    # What the program said of each shot, in order.
    told: list[str] = field(default_factory=list)


@dataclass
class Run:
    """Everything about one program and one `track.subject`."""

    outcomes: list[Outcome]
    # The program's own visits with shots of more than one person.
    merged: int
    # Shots of no person that is there.
    strays: int
    # Of the program's own visits those it took for the stay of somebody else's, and of the same person's.
    joined_wrongly: int
    joined: int
    # Frames that came while the detector was busy, of all.
    dropped: int
    received: int


def judge(truth: dict, recognisable: dict[str, list[int]], played: dict) -> Run:
    """Finds out whose face each shot is, and what became of everybody."""
    outcomes: dict[str, Outcome] = {}
    lanes = {}
    for lane in truth["lanes"]:
        lanes[lane["file"].rsplit(".", 1)[0]] = lane
        for visit in lane["visits"]:
            able = visit["enrolled"] and recognisable.get(key(visit), [0])[0] > 0
            outcomes[key(visit)] = Outcome(key(visit), visit["kind"], visit["enrolled"], able)
    merged = strays = 0
    # Who is in each of the program's own visits.
    shown: dict[str, set[str]] = {}
    # The wall clock at the first frame of each recording, milliseconds.
    origins: dict[str, float] = {}
    for record in played["visits"]:
        lane = lanes[record["detector"]]
        sent = {shot["sighting"]: shot for shot in (record["detail"] or {}).get("sent", [])}
        people = set()
        for shot in record["shots"]:
            where = sent.get(shot["sighting"])
            if where:
                origins[record["detector"]] = moment(shot["seen_at"]) - where["at_ms"]
            visit = whose(lane, where) if where else None
            if visit is None:
                strays += 1
                continue
            people.add(visit["person"])
            outcome = outcomes[key(visit)]
            outcome.visits.add(record["visit"])
            note(outcome, visit, lane, shot, where, played["names"])
        merged += len(people) > 1
        shown[record["visit"]] = people
        note_door([it for it in outcomes.values() if record["visit"] in it.visits], record, played)
    for record in played["visits"]:
        if not record["shots"] and record["detector"] in origins:
            note_unsent(outcomes, lanes[record["detector"]], record, origins[record["detector"]])
    for outcome in outcomes.values():
        # Whoever is recognised could be, whatever other frames said.
        outcome.recognisable |= outcome.enrolled and outcome.right
    detectors = played["detectors"]
    dropped, received = (sum(detector[count] for detector in detectors) for count in ("dropped", "received"))
    joined = [shown[first] == shown[visit] for visit, first in stays(played) if visit in shown and first in shown]
    return Run(list(outcomes.values()), merged, strays, joined.count(False), joined.count(True), dropped, received)


def stays(played: dict) -> list[tuple[str, str]]:
    """Of the program's own visits those that go on with the stay of another, each with that."""
    told = [(record["visit"], (record["detail"] or {}).get("stay")) for record in played["visits"]]
    return [(visit, first) for visit, first in told if first and first != visit]


def whose(lane: dict, shot: dict) -> dict | None:
    """The visit whose face was sent."""
    frame = round(shot["at_ms"] * lane["fps"] / 1000)
    x, y, width, height = shot["box"]
    middle = (x + width / 2, y + height / 2)
    near = []
    for visit in lane["visits"]:
        box = next((found for off in FRAMES_OFF if (found := visit["boxes"].get(str(frame + off)))), None)
        if box:
            away = math.dist((box[0] + box[2] / 2, box[1] + box[3] / 2), middle)
            if away <= NEAR * max(box[3], height):
                near.append((away, visit))
    return min(near, key=lambda it: it[0])[1] if near else None


def note(outcome: Outcome, visit: dict, lane: dict, shot: dict, where: dict, names: dict[str, str]) -> None:
    """Takes in one shot and its answer."""
    outcome.calls += 1
    match = f" {shot['match_confidence']:.2f}" if shot.get("match_confidence") else ""
    outcome.told.append(f"{where['at_ms'] / 1000:.1f} s quality {shot['quality']:.2f} {shot['outcome']}{match}")
    if shot["outcome"] != "known":
        return
    name = names.get(shot["person"], shot["person"])
    if name != visit["person"]:
        outcome.wrong.add(name)
        return
    outcome.right = True
    # The wall clock at the recording's first frame, by this very shot; milliseconds.
    origin = moment(shot["seen_at"]) - where["at_ms"]
    tall = next((int(frame) for frame, box in visit["boxes"].items() if box[3] >= USABLE_PX), 0)
    answered = moment(shot["stored_at"]) + shot["settled_after_ms"]
    took = answered - (origin + 1000 * tall / lane["fps"])
    outcome.first_right_ms = min(took, outcome.first_right_ms or math.inf)
    outcome.answered = min(answered, outcome.answered or math.inf)


def note_door(there: list[Outcome], record: dict, played: dict) -> None:
    """Takes in when the door opened for a visit of the program's, or why it did not."""
    at = played.get("opened", {}).get(record["visit"])
    refused = [action["reason"] for action in record.get("actions", []) if action["state"] == "refused"]
    for outcome in there:
        if at:
            outcome.opened = min(at, outcome.opened or math.inf)
        outcome.shut = refused[-1] if refused else outcome.shut


def note_unsent(outcomes: dict[str, Outcome], lane: dict, record: dict, origin: float) -> None:
    """Takes in a visit of the program's that nothing was sent of: its time alone tells whose it may have been."""
    begins, ends = (moment(record[seen]) - origin for seen in ("first_seen", "last_seen"))
    there = []
    for visit in lane["visits"]:
        frames = [int(frame) for frame in visit["boxes"]]
        if begins <= 1000 * max(frames) / lane["fps"] and ends >= 1000 * min(frames) / lane["fps"]:
            there.append(outcomes[key(visit)])
    # Where several people were there, it was one of those nothing else is known of.
    overlooked = [outcome for outcome in there if not outcome.calls] if len(there) > 1 else there
    for outcome in overlooked:
        outcome.told.append(f"not sent: {record['reason'] or record['outcome']}")
    if len(overlooked) == 1:
        overlooked[0].visits.add(record["visit"])


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp() * 1000


def figures(run: Run, other: Run | None = None) -> dict[str, dict]:
    """The figures of each kind of visit, and of `all`; with another run, of whom both have recognised as well."""
    kinds = {outcome.kind: [] for outcome in run.outcomes}
    for outcome in run.outcomes:
        kinds[outcome.kind].append(outcome)
    made = {kind: of(outcomes) for kind, outcomes in kinds.items()}
    both = {outcome.key for outcome in (other.outcomes if other else ()) if outcome.right}
    waits = [outcome.first_right_ms for outcome in run.outcomes if outcome.right and outcome.key in both]
    made["all"] = of(run.outcomes) | {
        # Of all who are recognised a program that recognises more of the difficult ones takes longer.
        "first_right_both_ms": median(waits) if waits else None,
        "merged": run.merged,
        "strays": run.strays,
        "joined": run.joined,
        "joined_wrongly": run.joined_wrongly,
        "dropped": run.dropped,
        "received": run.received,
    }
    return made


def of(outcomes: list[Outcome]) -> dict:
    able = [outcome for outcome in outcomes if outcome.recognisable]
    known = [outcome for outcome in outcomes if outcome.enrolled]
    strangers = [outcome for outcome in outcomes if not outcome.enrolled]
    waits = sorted(outcome.first_right_ms for outcome in able if outcome.first_right_ms is not None)
    doors = [outcome.opened - outcome.answered for outcome in known if outcome.opened and outcome.answered]
    return {
        "recognised": sum(outcome.right for outcome in able),
        "recognisable": len(able),
        "enrolled": len(known),
        "strangers": len(strangers),
        "strangers_named": sum(bool(outcome.wrong) for outcome in strangers),
        "wrong_names": sum(bool(outcome.wrong) for outcome in known),
        "known_calls": mean(outcome.calls for outcome in known) if known else None,
        "stranger_calls": mean(outcome.calls for outcome in strangers) if strangers else None,
        "first_right_ms": median(waits) if waits else None,
        "first_right_p95_ms": waits[math.ceil(0.95 * len(waits)) - 1] if waits else None,
        "opened": len(doors),
        "opened_soon": sum(took <= DOOR_MS for took in doors),
        "opened_ms": median(doors) if doors else None,
        "opened_strangers": sum(outcome.opened is not None for outcome in strangers),
        "split": sum(max(len(outcome.visits) - 1, 0) for outcome in outcomes),
    }


def missed(now: dict, before: dict | None, door: bool = False, part: bool = False) -> list[str]:
    """What of the figures of `all` is not as it must be, each as a line. A door has as many pictures taken as it needs;
    how often people are asked for on average is said of the whole set, and not of a part of it.
    """
    lines = []
    if now["recognised"] < MIN_RECOGNISED * now["recognisable"]:
        lines.append(f"{now['recognised']} of {now['recognisable']} recognised, {MIN_RECOGNISED:.0%} wanted")
    if now["strangers_named"]:
        lines.append(f"{now['strangers_named']} strangers named, none may be")
    if now["joined_wrongly"]:
        lines.append(f"{now['joined_wrongly']} visits taken for somebody else's stay, none may be")
    if now["opened_strangers"]:
        lines.append(f"the door opened for {now['opened_strangers']} strangers")
    if door and now["opened"] < MIN_RECOGNISED * now["recognisable"]:
        lines.append(f"the door opened for {now['opened']} of {now['recognisable']}")
    if door and now["opened_soon"] < MIN_SOON * now["recognisable"]:
        lines.append(f"the door opened for {now['opened_soon']} of {now['recognisable']} within {DOOR_MS / 1000} s")
    for who, most in (("known", MAX_KNOWN_CALLS), ("stranger", MAX_STRANGER_CALLS)):
        calls = now[f"{who}_calls"]
        if calls is not None and calls > most and not door and not part:
            lines.append(f"{calls:.2f} calls per visit of a {who} person, {most} at most wanted")
    took, took_before = (it and it["first_right_both_ms"] for it in (now, before))
    if took and took_before and took > took_before + NO_LATER_MS:
        lines.append(f"first right answer after {took:.0f} ms at the median, {took_before:.0f} ms before")
    return lines


def failures(run: Run) -> list[str]:
    """Every visit that is not as it should be, each with what was said of its shots."""
    lines = []
    for it in run.outcomes:
        faults = [f"named {name}" for name in sorted(it.wrong)]
        if it.enrolled and not it.right:
            faults.append("not recognised" if it.recognisable else "not recognisable")
        if it.shut and not it.opened:
            faults.append(f"the door stayed shut, {it.shut}")
        if len(it.visits) > 1:
            faults.append(f"split into {len(it.visits)}")
        if faults:
            lines.append(f"{it.key} ({it.kind}): {', '.join(faults)}; {'; '.join(it.told) or 'nothing was sent'}")
    return lines


ROWS = [
    ("recognised", "recognised of recognisable"),
    ("strangers_named", "strangers named"),
    ("wrong_names", "wrong names"),
    ("known_calls", "calls per visit, known"),
    ("stranger_calls", "calls per visit, strangers"),
    ("first_right_ms", "first right answer, median ms"),
    ("first_right_p95_ms", "first right answer, p95 ms"),
    ("first_right_both_ms", "the same, median ms of whom both recognise"),
    ("opened", "door opened, of recognisable"),
    ("opened_soon", f"door opened within {DOOR_MS / 1000} s of it, of recognisable"),
    ("opened_ms", "door opened after it, median ms"),
    ("split", "split visits"),
    ("merged", "merged visits"),
    ("joined", "visits of a face seen before"),
    ("joined_wrongly", "visits taken for somebody else's stay"),
    ("strays", "shots of nobody"),
    ("dropped", "frames dropped"),
]


def table(subject: str, now: dict[str, dict], before: dict[str, dict] | None) -> str:
    """All figures for people to read: in Markdown, so that they can stand in a page."""
    columns = [now, before] if before else [now]
    lines = [f"| `{subject}` | now |" + " before |" * (len(columns) - 1), "|---|" + "---|" * len(columns)]
    lines += [row(title, name, [column["all"] for column in columns]) for name, title in ROWS]
    for kind in (kind for kind in now if kind != "all" and now[kind]["enrolled"]):
        lines.append(row(f"recognised: {kind}", "recognised", [column.get(kind, {}) for column in columns]))
    return "\n".join(lines)


def row(title: str, name: str, columns: list[dict]) -> str:
    return f"| {title} | {' | '.join(cell(name, figures) for figures in columns)} |"


def cell(name: str, figures: dict) -> str:
    value = figures.get(name)
    if value is None:
        return "-"
    of_all = {"strangers_named": "strangers", "dropped": "received"}
    of_all |= dict.fromkeys(("recognised", "opened", "opened_soon"), "recognisable")
    if name in of_all:
        return f"{value} of {figures[of_all[name]]}"
    return f"{value:.2f}" if name.endswith("calls") else f"{value:.0f}"
