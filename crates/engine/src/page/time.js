// Times, always in a zone that is said: a door's own for what it saw, the engine's for everything else.

import { locale, zone as engines } from "./words.js";

export { engines as engineZone };

/** A day and a time in a zone, which may be unknown to the browser: then in that of the engine. */
export function moment(time, zone = engines, options = { dateStyle: "medium", timeStyle: "short" }) {
  return new Intl.DateTimeFormat(locale, { ...options, timeZone: known(zone) }).format(new Date(time));
}

/** The zone that a time is really shown in. */
export function known(zone) {
  for (const one of [zone, engines]) {
    try {
      if (one) return new Intl.DateTimeFormat(undefined, { timeZone: one }).resolvedOptions() && one;
    } catch { /* not a zone of this browser */ }
  }
  return "UTC";
}

/** A day, a time, and the zone. */
export const when = (time, zone) => `${moment(time, zone)} (${known(zone)})`;

/** What a clock of the zone shows, as if it were UTC. */
function wall(ms, zone) {
  const parts = new Intl.DateTimeFormat("en", { timeZone: known(zone), hourCycle: "h23", year: "numeric", month: "numeric",
    day: "numeric", hour: "numeric", minute: "numeric", second: "numeric" }).formatToParts(ms);
  const { year, month, day, hour, minute, second } = Object.fromEntries(parts.map(({ type, value }) => [type, Number(value)]));
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

/** The moment at which clocks of the zone show this (`2026-03-01T08:30`), in milliseconds since 1970. */
export function momentOf(text, zone = engines) {
  const shown = Date.parse(`${text}Z`);
  const first = shown - (wall(shown, zone) - shown);
  return shown - (wall(first, zone) - first);
}
