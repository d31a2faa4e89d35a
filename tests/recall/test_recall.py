"""The judge and the scenes by themselves: whose a shot is, what counts, what is missed.

    python -m unittest discover --start-directory tests/recall
"""

import importlib.util
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import judge
import oracle
import people
import scenes
import truth


def visit(scene, person, boxes, enrolled=True, kind="easy"):
    boxes = {str(frame): box for frame, box in boxes.items()}
    return {
        "scene": scene, "kind": kind, "person": person, "enrolled": enrolled, "tilt": 0.0, "spared": [], "boxes": boxes,
    }


def still(x, height, frames):
    return {frame: [x, 100.0, 0.8 * height, height] for frame in frames}


class Door:
    """A lane of 10 frames a second, and what a program recorded of it; the clock began at noon."""

    def __init__(self, *visits):
        self.truth = {"set": "test", "lanes": [{"file": "lane0.avi", "fps": 10.0, "frames": 100, "visits": visits}]}
        self.records = {}

    def shot(self, record, at_ms, box, outcome, person=None, took_ms=50):
        made = self.records.setdefault(
            record, {"visit": record, "detector": "lane0", "shots": [], "detail": {"sent": []}}
        )
        name = f"{record} {len(made['shots'])}"
        made["detail"]["sent"].append({"sighting": name, "at_ms": at_ms, "box": box})
        at = f"2026-01-31T12:00:{at_ms / 1000:06.3f}Z"
        made["shots"].append({
            "sighting": name, "seen_at": at, "stored_at": at, "settled_after_ms": took_ms, "quality": 0.8,
            "outcome": outcome, "person": person, "match_confidence": 0.7 if person else None,
        })

    def unsent(self, record, from_ms, to_ms):
        first, last = (f"2026-01-31T12:00:{ms / 1000:06.3f}Z" for ms in (from_ms, to_ms))
        self.records[record] = {
            "visit": record, "detector": "lane0", "shots": [], "detail": None, "first_seen": first, "last_seen": last,
            "outcome": "not_subject", "reason": "somebody larger",
        }

    def judged(self, recognisable, **more):
        detectors = [{"dropped": 3, "received": 100}]
        played = {"visits": list(self.records.values()), "detectors": detectors, "names": {"1": "ann", "2": "bob"}} | more
        return judge.judge(self.truth, recognisable, played)


class Judge(unittest.TestCase):
    def test_two_people_are_told_apart_by_where_they_are(self):
        door = Door(visit("s", "ann", still(100, 60, range(50))), visit("s", "bob", still(400, 60, range(50))))
        door.shot("a", 1000, [105, 98, 50, 64], "known", "1")
        door.shot("b", 1000, [395, 98, 50, 64], "unknown")
        door.shot("b", 2000, [395, 98, 50, 64], "known", "2")
        run = door.judged({"s: ann": [3, 12], "s: bob": [1, 12]})
        self.assertEqual([(it.right, it.calls, it.visits) for it in run.outcomes], [(True, 1, {"a"}), (True, 2, {"b"})])
        self.assertEqual((run.merged, run.strays), (0, 0))

    def test_an_answer_is_timed_from_the_first_face_tall_enough(self):
        boxes = still(100, 40, range(10)) | still(100, 60, range(10, 30))
        door = Door(visit("s", "ann", boxes))
        door.shot("a", 1400, [100, 100, 50, 60], "unknown")
        door.shot("a", 2500, [100, 100, 50, 60], "known", "1", took_ms=120)
        door.shot("a", 2900, [100, 100, 50, 60], "known", "1", took_ms=120)
        self.assertAlmostEqual(door.judged({}).outcomes[0].first_right_ms, 1620.0, places=3)

    def test_wrong_names_strangers_splits_merges_and_shots_of_nobody(self):
        ann, stranger = still(100, 60, range(50)), still(400, 60, range(50))
        door = Door(visit("s", "ann", ann), visit("s", "zed", stranger, enrolled=False, kind="stranger"))
        door.shot("a", 1000, [100, 100, 50, 60], "known", "2")
        door.shot("b", 2000, [100, 100, 50, 60], "unknown")
        door.shot("b", 3000, [400, 100, 50, 60], "known", "1")
        door.shot("c", 4000, [250, 400, 50, 60], "no_face")
        door.shot("c", 9000, [100, 100, 50, 60], "unknown")
        run = door.judged({"s: ann": [2, 12]})
        known, unknown = run.outcomes
        self.assertEqual((known.right, known.wrong, known.visits), (False, {"bob"}, {"a", "b"}))
        self.assertEqual((unknown.wrong, unknown.calls), ({"ann"}, 1))
        self.assertEqual((run.merged, run.strays), (1, 2))
        every = judge.figures(run)["all"]
        self.assertEqual((every["recognised"], every["recognisable"], every["split"]), (0, 1, 1))
        self.assertEqual((every["wrong_names"], every["strangers_named"], every["known_calls"]), (1, 1, 2))
        self.assertEqual(len(judge.failures(run)), 2)

    def test_a_visit_that_nothing_was_sent_of_is_known_by_its_time(self):
        door = Door(
            visit("s", "ann", still(100, 60, range(50))), visit("s", "bob", still(400, 60, range(50))),
            visit("t", "ann", still(100, 60, range(80, 99))),
        )
        door.shot("a", 1000, [100, 100, 50, 60], "known", "1")
        door.unsent("b", 500, 4000)
        door.unsent("c", 8500, 9000)
        door.unsent("d", 9200, 9500)
        ann, bob, again = door.judged({}).outcomes
        self.assertEqual((ann.visits, ann.right), ({"a"}, True))
        self.assertEqual((bob.visits, bob.told, bob.calls), ({"b"}, ["not sent: somebody larger"], 0))
        self.assertEqual((again.visits, len(again.told)), ({"c", "d"}, 2))

    def test_who_cannot_be_recognised_does_not_count_until_recognised(self):
        for right in (False, True):
            door = Door(visit("s", "ann", still(100, 60, range(50))))
            door.shot("a", 1000, [100, 100, 50, 60], *(("known", "1") if right else ("unknown",)))
            every = judge.figures(door.judged({"s: ann": [0, 50]}))["all"]
            self.assertEqual((every["recognised"], every["recognisable"], every["enrolled"]), (right, right, 1))

    def test_each_bound_is_told_by_itself(self):
        good = {
            "recognised": 98, "recognisable": 100, "strangers_named": 0, "known_calls": 2.2, "stranger_calls": 4.5,
            "first_right_both_ms": 500.0, "joined_wrongly": 0, "opened": 99, "opened_soon": 98, "opened_strangers": 0,
        }
        self.assertEqual(judge.missed(good, good), [])
        worse = {"opened_soon": 94, "known_calls": 2.3}
        self.assertEqual(len(judge.missed(good | worse, good)), 1, "of the calls")
        self.assertEqual(len(judge.missed(good | worse, good, door=True)), 1, "of the door")
        self.assertEqual(judge.missed(good | worse, good, part=True), [], "averages are the whole set's")
        self.assertEqual(judge.missed(good | {"opened": 97}, good, True), ["the door opened for 97 of 100"])
        for change, says in [
            ({"recognised": 97}, "97 of 100 recognised"),
            ({"strangers_named": 1}, "1 strangers named"),
            ({"joined_wrongly": 1}, "1 visits taken for somebody else's stay"),
            ({"opened_strangers": 1}, "opened for 1 strangers"),
            ({"known_calls": 2.3}, "2.30 calls per visit of a known"),
            ({"stranger_calls": 4.6}, "4.60 calls per visit of a stranger"),
            ({"first_right_both_ms": 700.0}, "after 700 ms at the median, 500 ms before"),
        ]:
            lines = judge.missed(good | change, good)
            self.assertEqual(len(lines), 1, lines)
            self.assertIn(says, lines[0])
        self.assertEqual(judge.missed(good | {"first_right_both_ms": 700.0}, None), [])

    def test_a_door_is_timed_from_the_first_right_answer_and_a_stay_is_one_persons(self):
        door = Door(
            visit("s", "ann", still(100, 60, range(50))), visit("s", "bob", still(400, 60, range(50)), enrolled=False),
            visit("t", "ann", still(100, 60, range(60, 99))),
        )
        door.shot("a", 1000, [100, 100, 50, 60], "unknown")
        door.shot("a", 2000, [100, 100, 50, 60], "known", "1", took_ms=100)
        door.shot("b", 1000, [400, 100, 50, 60], "unknown")
        door.shot("c", 7000, [100, 100, 50, 60], "known", "1")
        noon = judge.moment("2026-01-31T12:00:00Z")
        for stay, opened, joined, strangers in [("a", {"a": noon + 2900}, (1, 0), 0), ("b", {"b": noon}, (0, 1), 1)]:
            door.records["c"]["detail"]["stay"] = stay
            every = judge.figures(door.judged({"s: ann": [1, 1], "t: ann": [1, 1]}, opened=opened))["all"]
            self.assertEqual((every["joined"], every["joined_wrongly"]), joined)
            self.assertEqual(every["opened_strangers"], strangers)
            self.assertEqual((every["opened_soon"], every["opened_ms"]), (0, None) if strangers else (1, 800))

    def test_the_table_has_a_column_for_each_program(self):
        door = Door(visit("s", "ann", still(100, 60, range(50))))
        door.shot("a", 1000, [100, 100, 50, 60], "known", "1")
        now = judge.figures(door.judged({}), door.judged({}))
        self.assertEqual(now["all"]["first_right_both_ms"], now["all"]["first_right_ms"])
        self.assertIn("| recognised of recognisable | 1 of 1 |\n", judge.table("each", now, None))
        self.assertIn("| frames dropped | 3 of 100 | 3 of 100 |\n", judge.table("each", now, now))
        self.assertIn("| recognised: easy | 1 of 1 | - |", judge.table("each", now, {"all": now["all"]}))


class Playing(unittest.TestCase):
    def test_recordings_too_much_for_the_machine_are_played_again_one_at_a_time(self):
        file = Path(__file__).with_name("__main__.py")
        spec = importlib.util.spec_from_file_location("play", file)
        play = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(play)

        def watch(_doorward, _engine, lanes, *_):
            # Of two together every tenth frame is lost, of one alone too: there is no more that can be done.
            return {"detectors": [{"dropped": 10, "received": 100, "lane": lane} for lane in lanes]}

        two, said = [Path("a"), Path("b")], []
        with mock.patch.object(play.program, "watch", watch), mock.patch.object(play, "say", said.append):
            recorded = play.watched(Path("doorward"), None, two, "each", False)
        self.assertEqual([[it["lane"] for it in one["detectors"]] for one in recorded], [[two[0]], [two[1]]])
        self.assertEqual(len(said), 1)
        with mock.patch.object(play.program, "watch", lambda *_: {"detectors": [{"dropped": 2, "received": 100}]}):
            self.assertEqual(len(play.watched(Path("doorward"), None, two, "each", False)), 1)


class Scenes(unittest.TestCase):
    def test_the_set_is_large_and_always_the_same(self):
        known, strangers = [f"known{n}" for n in range(6)], [f"stranger{n}" for n in range(11)]
        for clips, least in [(False, 60), (True, 70)]:
            made = scenes.scenes(known, strangers, clips)
            self.assertEqual(made, scenes.scenes(known, strangers, clips))
            names = [scene.name for scene in made]
            self.assertEqual(len(names), len(set(names)))
            visits = sum(len(scene.walks) + len(scene.clip.people if scene.clip else ()) for scene in made)
            self.assertGreaterEqual(visits, least)
        kinds = {scene.kind for scene in made}
        self.assertLessEqual({"easy", "medium", "hard", "tilted 45", "back-lit", "together", "crossing"}, kinds)

    def test_who_walks_up_gets_larger_stays_and_goes(self):
        walk = scenes.Walk("ann", near=150.0, begins=1.0, lasts=4.0)
        scene = scenes.Scene("s", "easy", (walk,))
        seen = [scenes.pose(walk, scene, tenth / 10) for tenth in range(60)]
        self.assertEqual([pose is not None for pose in seen], [10 <= tenth < 50 for tenth in range(60)])
        heights = [pose.height for pose in seen if pose]
        self.assertEqual(heights, sorted(heights))
        self.assertAlmostEqual(heights[0], scenes.FAR_PX)
        self.assertAlmostEqual(heights[-1], 150.0)
        self.assertGreater(seen[49].x, scene.size[0])

    def test_two_who_are_there_together_are_never_one_person(self):
        made = scenes.scenes([f"known{n}" for n in range(6)], [f"stranger{n}" for n in range(11)], True)
        for scene in made:
            people_there = [walk.person for walk in scene.walks]
            self.assertEqual(len(people_there), len(set(people_there)), scene.name)

    def test_nobody_is_shown_by_what_they_are_enrolled_from(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in people.JOHNS:
                photos = Path(folder, "photos/johns", name)
                photos.mkdir(parents=True)
                for number in range(11):
                    (photos / f"{number:02}.jpg").touch()
            for shared in (None, Path(folder)):
                for person in people.cast(shared, Path("models")).people:
                    self.assertTrue(person.shown, person.name)
                    self.assertFalse(set(person.enrolled) & set(person.shown), person.name)
        packaged = people.cast(None, Path("models"))
        self.assertEqual(len(packaged.known()), len(people.PACKAGED_KNOWN))

    def test_frames_somebody_is_enrolled_from_show_nothing(self):
        seen = visit("s", "ann", still(100, 40, range(3)) | still(100, 60, range(3, 8))) | {"spared": [4]}
        self.assertEqual(oracle.usable(seen), [3, 5, 6, 7])
        self.assertEqual(truth.key(seen), "s: ann")


if __name__ == "__main__":
    unittest.main()
