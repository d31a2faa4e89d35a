"""A plain agent in Python, written as one would write it: what doorward's speed and memory are compared with.

    python benches/python_agent.py RECORDING --models models --engine http://127.0.0.1:5009 --username door \\
        --password-file password

OpenCV reads the recording and its FaceDetectorYN finds the faces, ONNX Runtime makes the embedding, and the best
picture of each visit is sent to an Identities engine with its embedding. Models run on one thread, as doorward's do;
requests wait on another, so that no frame waits for the engine. With `--live` the recording is played at its own pace
again and again, as a camera shows it: who is late passes over frames. Prints a line when the first frame has been
searched, and at the end one line of JSON: how many frames, visits and answers there were, and the seconds it took from
the first frame to the last answer.
"""

import argparse
import base64
import json
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

# A frame is shrunk until its longest side is no more than this; faces below this score are none.
LONGEST, LEAST_SCORE, NMS_IOU = 640, 0.6, 0.3
# Two boxes of one face in two frames overlap by this (IoU); who is not seen for so many frames has left.
SAME_FACE, LOST_AFTER = 0.3, 20
# A first picture is chosen of so many frames with the face.
CHOSEN_OF = 6
# How the engine is asked to answer: as doorward asks.
ASKED = dict.fromkeys(("largestFaceOnly", "includePerson", "includeNames", "includeTags", "includeFields"), True)
# Where the five landmarks lie in a chip of 112 by 112 (the template of InsightFace).
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)


class Detector:
    """Faces of a frame: box, five landmarks and score, in the frame's own pixels."""

    def __init__(self, model: Path):
        self.network = cv2.FaceDetectorYN.create(str(model), "", (LONGEST, LONGEST), LEAST_SCORE, NMS_IOU)
        self.size = None

    def detect(self, frame: np.ndarray) -> np.ndarray:
        height, width = frame.shape[:2]
        scale = min(1.0, LONGEST / max(width, height))
        small = frame if scale == 1.0 else cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        size = (small.shape[1], small.shape[0])
        if size != self.size:
            self.network.setInputSize(size)
            self.size = size
        faces = self.network.detect(small)[1]
        if faces is None:
            return np.empty((0, 15), np.float32)
        faces[:, :14] /= scale
        return faces


class Embedder:
    """128 values of an aligned face."""

    def __init__(self, model: Path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    def embed(self, chip: np.ndarray) -> np.ndarray:
        values = (chip[:, :, ::-1].astype(np.float32) / 255.0 - MEAN) / DEVIATION
        embedding = self.session.run(None, {self.input: values.transpose(2, 0, 1)[None]})[0][0]
        return embedding / np.linalg.norm(embedding)


class Engine:
    """The Identities engine's REST API, as far as a door needs it."""

    def __init__(self, url: str, username: str, password: str):
        self.url, self.token = url.rstrip("/"), None
        self.token = self.ask("authenticate", {"username": username, "password": password})["token"]

    def ask(self, path: str, body: dict):
        request = urllib.request.Request(f"{self.url}/api/v1/{path}", json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def publish(self, crop: np.ndarray, embedding: np.ndarray, seen_at: str):
        jpeg = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
        return self.ask("faceEdge/publishWithResponse", {
            "expanded": base64.b64encode(jpeg).decode(),
            "embeddings": embedding.tolist(),
            "recognitionModel": "mobilefacenet",
            "detectorName": "python",
            "ianaTimeZone": "UTC",
            "detectTimeUtc": seen_at,
            **ASKED,
        })


class Visit:
    """Somebody in front of the camera, and the best picture so far."""

    def __init__(self):
        self.box, self.missed, self.frames, self.sent = None, 0, 0, False
        self.best, self.shot = 0.0, None

    def see(self, frame: np.ndarray, face: np.ndarray):
        self.box, self.missed, self.frames = face[:4], 0, self.frames + 1
        if self.sent:
            return
        good = quality(frame, face)
        if good > self.best:
            self.best, self.shot = good, (frame.copy(), face.copy())


def quality(frame: np.ndarray, face: np.ndarray) -> float:
    """Sharp, large and sure is good."""
    x, y, width, height = face[:4].astype(int)
    cut = frame[max(y, 0) : y + height, max(x, 0) : x + width]
    if cut.size == 0:
        return 0.0
    grey = cv2.cvtColor(cv2.resize(cut, (96, 96)), cv2.COLOR_BGR2GRAY)
    return float(face[14] * min(height / 120, 1.0) * min(cv2.Laplacian(grey, cv2.CV_64F).var() / 100, 1.0))


def chip_of(frame: np.ndarray, face: np.ndarray) -> np.ndarray:
    matrix = cv2.estimateAffinePartial2D(face[4:14].reshape(5, 2), TEMPLATE, method=cv2.LMEDS)[0]
    return cv2.warpAffine(frame, matrix, (112, 112))


def expanded(frame: np.ndarray, face: np.ndarray) -> np.ndarray:
    """The face with as much around it as its own size."""
    x, y, width, height = face[:4].astype(int)
    return frame[max(y - height // 2, 0) : y + height * 3 // 2, max(x - width // 2, 0) : x + width * 3 // 2]


def iou(a: np.ndarray, b: np.ndarray) -> float:
    across = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    down = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    both = max(across, 0.0) * max(down, 0.0)
    return both / (a[2] * a[3] + b[2] * b[3] - both)


class Agent:
    """Whoever is in view, and what was asked of the engine."""

    def __init__(self, models: Path, engine: Engine):
        self.detector, self.embedder = Detector(models / "yunet_n.onnx"), Embedder(models / "mobilefacenet.onnx")
        self.engine, self.visits, self.ended = engine, [], 0
        self.requests, self.asked = ThreadPoolExecutor(1), []

    def watch(self, recording: str, live: bool) -> int:
        """Plays the recording, once or, live, until the process is ended; gives how many frames were searched."""
        frames = 0
        for frame in paced(recording) if live else once(recording):
            self.take(frame)
            if frames == 0:
                print("searched the first frame", flush=True)
            frames += 1
        for visit in self.visits:
            self.leave(visit)
        return frames

    def answers(self) -> int:
        """How many answers the engine gave, once it has given all of them."""
        self.requests.shutdown()
        return sum(bool(request.result()) for request in self.asked)

    def take(self, frame: np.ndarray):
        seen = []
        for face in self.detector.detect(frame):
            known = [visit for visit in self.visits if visit not in seen and iou(visit.box, face[:4]) >= SAME_FACE]
            visit = max(known, key=lambda it: iou(it.box, face[:4])) if known else Visit()
            if not known:
                self.visits.append(visit)
            visit.see(frame, face)
            seen.append(visit)
            if visit.frames == CHOSEN_OF:
                self.send(visit)
        for visit in [it for it in self.visits if it not in seen]:
            visit.missed += 1
            if visit.missed > LOST_AFTER:
                self.visits.remove(visit)
                self.leave(visit)

    def leave(self, visit: Visit):
        if visit.frames >= 2:
            self.ended += 1
            self.send(visit)

    def send(self, visit: Visit):
        if visit.sent or visit.shot is None:
            return
        frame, face = visit.shot
        visit.sent, visit.shot = True, None
        embedding, seen_at = self.embedder.embed(chip_of(frame, face)), datetime.now(timezone.utc).isoformat()
        self.asked.append(self.requests.submit(self.engine.publish, expanded(frame, face), embedding, seen_at))


def once(recording: str):
    """The frames of a recording, as fast as they are taken."""
    camera = cv2.VideoCapture(recording)
    while (read := camera.read())[0]:
        yield read[1]


def paced(recording: str):
    """The frames of a recording when they are due, without end; those that are due already are passed over. Says now
    and then how many were."""
    began, number, late = time.perf_counter(), 0, 0
    while True:
        camera = cv2.VideoCapture(recording)
        step = 1.0 / camera.get(cv2.CAP_PROP_FPS)
        while camera.grab():
            wait = began + number * step - time.perf_counter()
            number += 1
            if wait > 0.0:
                time.sleep(wait)
            # One that is late by less than a frame is still the newest.
            if wait > -step:
                yield camera.retrieve()[1]
            else:
                late += 1
            if number % 10 == 0:
                print(json.dumps({"frames": number, "passed_over": late}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording")
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--engine", required=True)
    parser.add_argument("--username", required=True)
    parser.add_argument("--password-file", type=Path, required=True)
    parser.add_argument("--live", action="store_true", help="as a camera, until it is ended")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    password = arguments.password_file.read_text().strip()
    agent = Agent(arguments.models, Engine(arguments.engine, arguments.username, password))
    began = time.perf_counter()
    frames = agent.watch(arguments.recording, arguments.live)
    answers = agent.answers()
    seconds = time.perf_counter() - began
    print(json.dumps({"frames": frames, "visits": agent.ended, "answers": answers, "seconds": seconds}))


main()
