// Asking the engine. The token lives as long as the tab does; nothing else is kept.

import { t } from "./words.js";

const RENEW_MS = 20 * 60 * 1000;
const KEY = "identities-token";

let token = sessionStorage.getItem(KEY);
let signedOut = () => {};

/** The engine said no: `status` is HTTP's. */
export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

export const isSignedIn = () => token !== null;

/** Told when the engine does not know us any more. */
export function onSignedOut(listener) {
  signedOut = listener;
}

export async function signIn(username, password) {
  const answer = await ask("POST", "api/v1/authenticate", { body: { username, password } });
  keep((await answer.json()).token);
}

/** The engine forgets the session, too. */
export async function signOut() {
  if (token) await call("POST", "page/signOut").catch(() => {});
  forget();
}

function forget() {
  if (token === null) return;
  keep(null);
  signedOut();
}

/** The answer as JSON, or null where there is none. */
export async function call(method, path, options = {}) {
  const text = await (await ask(method, path, options)).text();
  return text ? JSON.parse(text) : null;
}

/** A photo, or another file, as a Blob. */
export async function photo(path) {
  return (await ask("GET", path)).blob();
}

export const path = (...parts) => parts.map(encodeURIComponent).join("/");

async function ask(method, path, { body, query = {}, signal } = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const url = given.length ? `${path}?${new URLSearchParams(given)}` : path;
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(url, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, t("noAnswer"));
  }
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  const text = problem.detail || problem.title || t("answers", { status: answer.status });
  if (answer.status === 401 && token) {
    forget();
    throw new Refused(401, t("signedOut"));
  }
  throw new Refused(answer.status, text);
}

function keep(value) {
  token = value;
  if (value === null) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, value);
}

setInterval(async () => {
  if (!token) return;
  try {
    keep((await call("GET", "api/v1/renewToken")).token);
  } catch { /* the next request tells */ }
}, RENEW_MS);
