// The camera of this machine, where the browser gives it to a page: over HTTPS, or on the machine itself.

import { button as buttonOf, doing, h } from "./dom.js";
import { t } from "./words.js";

/** Opens the camera, takes pictures of it until it is closed. */
export function cameraButton(place, add, signal) {
  let stream = null;
  const button = buttonOf(t("camera"), null, "plain");
  const close = () => {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    place.replaceChildren();
    button.textContent = t("camera");
  };
  button.addEventListener("click", doing(async () => {
    if (stream) return close();
    if (!navigator.mediaDevices) {
      throw new Error(t("camera.https"));
    }
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { ideal: 1280 } } });
    } catch (error) {
      throw new Error(t("camera.none", { why: error.message }));
    }
    if (signal.aborted) return close();
    const video = h("video", { autoplay: true, playsInline: true, muted: true, srcObject: stream });
    const take = doing(async () => {
      const canvas = h("canvas", { width: video.videoWidth, height: video.videoHeight });
      canvas.getContext("2d").drawImage(video, 0, 0);
      await add(await jpeg(canvas));
    });
    place.replaceChildren(h("div", { class: "camera" }, video),
      h("div", { class: "bar" }, h("button", { type: "button", onclick: take }, t("camera.take"))));
    button.textContent = t("camera.close");
  }));
  signal.addEventListener("abort", close);
  return button;
}

/** What the canvas shows, as a JPEG. */
export const jpeg = (canvas) => new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
