"""What OpenCV's own FaceDetectorYN finds, for tests and benchmarks to compare with.

Usage: facedetectoryn.py MODEL LONGEST_SIDE MIN_SCORE NMS_IOU IMAGE...

Prints one JSON line per image: file, scale (input pixels per picture pixel), faces with box, landmarks and score in the
picture's pixels.
"""

import json
import sys

import cv2


def shrunk(picture, longest_side):
    """The picture with its longest side at most `longest_side`, and the factors that takes."""
    height, width = picture.shape[:2]
    side = max(width, height)
    if side <= longest_side:
        return picture, (1.0, 1.0)
    size = tuple(-(-length * longest_side // side) for length in (width, height))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA), (size[0] / width, size[1] / height)


def main():
    model, longest_side, min_score, nms_iou, *images = sys.argv[1:]
    detector = cv2.FaceDetectorYN.create(model, "", (320, 320), float(min_score), float(nms_iou), 5000)
    for image in images:
        picture, (x, y) = shrunk(cv2.imread(image), int(longest_side))
        detector.setInputSize((picture.shape[1], picture.shape[0]))
        found = detector.detect(picture)[1]
        faces = [
            {
                "box": [float(v) / f for v, f in zip(row[:4], (x, y, x, y))],
                "landmarks": [[float(row[n]) / x, float(row[n + 1]) / y] for n in range(4, 14, 2)],
                "score": float(row[14]),
            }
            for row in ([] if found is None else found)
        ]
        print(json.dumps({"file": image, "scale": x, "faces": faces}))


main()
