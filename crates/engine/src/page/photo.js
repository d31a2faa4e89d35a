// Photos are asked for with a token, so they cannot be plain image addresses; they are fetched when they come into sight.

import { photo } from "./api.js";
import { h } from "./dom.js";

const waiting = new Map();
const watcher = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    watcher.unobserve(target);
    fill(target, waiting.get(target));
    waiting.delete(target);
  }
}, { rootMargin: "300px" });

/** An image of the photo at this path; a blank one where there is none. */
export function photoOf(path, alt = "") {
  const image = h("img", { class: "photo", alt });
  if (path) {
    waiting.set(image, path);
    watcher.observe(image);
  }
  return image;
}

async function fill(image, path) {
  try {
    const url = URL.createObjectURL(await photo(path));
    const free = () => URL.revokeObjectURL(url);
    image.addEventListener("load", free, { once: true });
    image.addEventListener("error", free, { once: true });
    image.src = url;
  } catch {
    image.classList.add("failed");
  }
}

/** Where the picture of a sighting is. */
export const detectionPhoto = (sight) => `api/v1/people/detectionPhoto/${[sight.faceId, sight.detectId].map(encodeURIComponent).join("/")}`;

/** Where the photo of an enrolled face is. */
export const enrolledPhoto = (face) => face && `api/v1/people/enrollmentPhoto/${encodeURIComponent(face)}`;
