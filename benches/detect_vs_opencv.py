"""The whole detection stage against OpenCV's FaceDetectorYN: same models, same picture, same size, one thread.

Usage: detect_vs_opencv.py DOORWARD [IMAGE]

The two take turns, so that whatever else the machine does hits both. Prints the medians and their ratio, and the processor
they hold for: OpenCV and ONNX Runtime each use what they find there, and not to the same profit.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import cv2

ROUNDS, TIMES, SIZE = 5, 40, (640, 480)
ROOT = pathlib.Path(__file__).resolve().parent.parent
MODELS = pathlib.Path(os.environ.get("DOORWARD_MODELS_DIR") or ROOT / "models")


def processor():
    """The processor's name and the widest vector instructions it has."""
    about = pathlib.Path("/proc/cpuinfo").read_text()
    name = next((line.split(":", 1)[1].strip() for line in about.splitlines() if line.startswith("model name")), "?")
    widest = next((flag for flag in ("avx512f", "avx2", "sse4_2", "asimd") if f" {flag} " in about + " "), "?")
    return f"{name}, {widest}"


def ours(doorward, model, image):
    size = "x".join(map(str, SIZE))
    command = [doorward, "detect", image, "--json", "--model", model, "--bench", str(TIMES), "--size", size, "--threads", "1"]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["bench"]


def theirs(model, picture):
    detector = cv2.FaceDetectorYN.create(str(MODELS / f"{model}.onnx"), "", SIZE, 0.6, 0.3, 5000)
    detector.detect(picture)
    times = []
    for _ in range(TIMES):
        started = time.perf_counter()
        detector.detect(picture)
        times.append((time.perf_counter() - started) * 1e3)
    return statistics.median(times)


def main():
    doorward = sys.argv[1]
    image = sys.argv[2] if len(sys.argv) > 2 else str(MODELS / "sample3.jpg")
    cv2.setNumThreads(1)
    picture = cv2.resize(cv2.imread(image), SIZE, interpolation=cv2.INTER_LINEAR)
    print(f"{SIZE[0]}x{SIZE[1]}, one thread, {ROUNDS} rounds of {TIMES}, OpenCV {cv2.__version__}, {processor()}")
    for model in ("yunet_n", "yunet_s"):
        rounds = [(ours(doorward, model, image), theirs(model, picture)) for _ in range(ROUNDS)]
        # The least disturbed round of each.
        stage = min(our["median_ms"] for our, _ in rounds)
        network = min(our["inference_ms"] for our, _ in rounds)
        opencv = min(their for _, their in rounds)
        print(
            f"{model}: doorward {stage:.2f} ms (network {network:.2f} ms, the rest {stage / network - 1:.1%}), "
            f"FaceDetectorYN {opencv:.2f} ms: {opencv / stage:.2f} times as fast"
        )


main()
