"""What is made before anything is played: recordings that show what their truth says, and the versions to compare.

    python -m unittest discover --start-directory tests/recall
"""

import subprocess
import tempfile
import unittest
from pathlib import Path

import cv2
import numpy as np

import render
import scenes
import versions
from people import Cast, Person, Photo


class Rendering(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        # A face: bright red, the centre of the picture; the rest of it is green.
        picture = np.zeros((300, 300, 3), np.uint8)
        picture[:, :, 1] = 200
        cv2.ellipse(picture, (150, 150), (40, 50), 0, 0, 360, (0, 0, 255), -1)
        self.photo = Photo(Path(folder.name, "photo.png"))
        cv2.imwrite(str(self.photo.file), picture)
        self.faces = render.Faces(Path("no program is asked"))
        self.faces.found[self.photo.file] = [[110, 100, 80, 100]]

    def frames(self, walk, **more):
        scene = scenes.Scene("s", "easy", (walk,), **more)
        person = Person(walk.person, (), (self.photo,))
        empty = render.background(scene, np.random.default_rng(1))
        return list(render.walking(scene, {walk.person: person}, self.faces, empty))

    def test_the_face_is_where_the_truth_says(self):
        for walk in (scenes.Walk("ann"), scenes.Walk("ann", tilt=45.0, light=0.6, blur=4.0)):
            checked = 0
            for picture, boxes in self.frames(walk)[6:]:
                x, y, width, height = boxes.get("ann", (0, 0, 0, 0))
                if not 0 < x < picture.shape[1] - width:
                    continue
                red = picture[:, :, 2] > picture[:, :, 1] + 60
                rows, columns = np.nonzero(red[: int(y + height), :])
                self.assertLess(abs(columns.mean() - (x + width / 2)), 0.1 * height)
                self.assertLess(abs(rows.mean() - (y + height / 2)), 0.1 * height)
                checked += 1
            self.assertGreater(checked, 30)

    def test_nobody_is_seen_before_coming_and_after_leaving(self):
        boxes = [boxes for _, boxes in self.frames(scenes.Walk("ann", begins=1.0, lasts=3.0))]
        self.assertEqual([bool(seen) for seen in boxes[:20]], [False] * 15 + [True] * 5)
        self.assertFalse(boxes[-1])

    def test_the_nearest_face_of_a_picture_of_several_is_meant(self):
        self.faces.found[self.photo.file].append([10, 10, 20, 30])
        self.assertEqual(self.faces.box(Photo(self.photo.file, (0, 0))), [10, 10, 20, 30])
        self.assertEqual(self.faces.box(self.photo), [110, 100, 80, 100])

    def test_two_lanes_may_show_the_same_recording_at_the_same_time(self):
        folder = self.photo.file.parent
        writer = cv2.VideoWriter(str(folder / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 15, (300, 300))
        for _ in range(3):
            writer.write(cv2.imread(str(self.photo.file)))
        writer.release()
        scene = scenes.Scene("s", "recording", clip=scenes.Clip("clip.avi", 1, {"ann": (150, 150)}), size=(300, 300))
        faces, looked = self.faces, []

        class Asked(render.Faces):
            """While one lane's faces are looked for, the other renders the same recording to its end."""

            def look(self, files):
                if files[0] not in self.found:
                    self.found |= {file: [[110, 100, 80, 100]] for file in files}
                    looked.append(files)
                    if len(looked) == 1:
                        list(render.recording(folder, scene, Asked(faces.program)))
                    missing = [file for file in files if not file.exists()]
                    assert not missing, missing

        boxes = [boxes for _, boxes in render.recording(folder, scene, Asked(faces.program))]
        self.assertEqual(boxes, [{"ann": [110, 100, 80, 100]}] * 3)
        self.assertEqual(len(looked), 2)

    def test_a_part_of_the_scenes_is_another_set(self):
        cast = Cast("nobody", (), None)
        folder = self.photo.file.parent
        one, two = (scenes.Scene(name, "easy", (scenes.Walk("ann"),)) for name in ("one", "two"))
        self.assertNotEqual(*(render.place(cast, listed, folder) for listed in ([one, two], [one])))

    def test_another_comment_makes_no_other_set(self):
        one = '"""What it is."""\ndef two():\n    """Two."""\n    return 2  # or so\n'
        other = one.replace("What it is", "Something").replace("or so", "certainly").replace("Two.", "A pair.")
        self.assertEqual(render.meaning(one), render.meaning(other))
        self.assertNotEqual(render.meaning(one), render.meaning(one.replace("return 2", "return 3")))

    def test_each_lane_has_pictures_of_one_size_and_no_scene_is_lost(self):
        made = scenes.scenes([f"known{n}" for n in range(6)], [f"stranger{n}" for n in range(11)], True)
        lanes = render.lanes(made)
        for lane in lanes:
            self.assertEqual(len({(scene.size, scene.fps) for scene in lane}), 1)
        self.assertEqual(sorted(scene.name for lane in lanes for scene in lane), sorted(scene.name for scene in made))


class Versions(unittest.TestCase):
    def test_a_changed_program_is_compared_with_its_own_commit_and_not_kept(self):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            program = root / "doorward"
            program.write_text("the program")
            (root / "src").mkdir()

            def git(*arguments):
                author = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
                subprocess.run(["git", "-C", root, *author, *arguments], check=True, capture_output=True)

            git("init")
            for text in ("one", "two"):
                (root / "src/main.rs").write_text(text)
                git("add", "src")
                git("commit", "-m", text)
            now, base = versions.here(root, root / "kept", program, "set")
            self.assertEqual(base, f"{now.name}^")
            self.assertEqual(now.results, root / "kept/results" / f"{now.name}-set.json")
            self.assertEqual(now.program.read_text(), "the program")
            (root / "src/main.rs").write_text("three")
            changed, base = versions.here(root, root / "kept", program, "set")
            self.assertEqual((changed.results, base), (None, now.name))
            # What was measured of a commit is not built again.
            now.results.parent.mkdir(parents=True)
            now.results.write_text("{}")
            told = []
            self.assertEqual(versions.before(root, root / "kept", base, "set", told.append).results, now.results)
            self.assertEqual(told, [])


if __name__ == "__main__":
    unittest.main()
