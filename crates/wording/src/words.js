// What a page says, in the language its reader chose, or else their browser: t("key", { name }), t("people", { n: 3 }).

const KEY = "language";

/** The reader's own choice, kept by the browser; null where they made none. */
function choice() {
  try { return localStorage.getItem(KEY); } catch { return null; }
}

const chosen = choice();
const query = chosen ? `?${new URLSearchParams({ language: chosen })}` : "";
const told = await (await fetch(new URL(`words${query}`, import.meta.url))).json();

/** The language's tag, also for numbers and dates: of a language of several lands the browser's own land. */
export const language = told.language;
export const locale = navigator.languages.find((one) => one === language || one.startsWith(`${language}-`)) ?? language;
/** The zone of times that have none of their own. */
export const zone = told.zone;

const plural = new Intl.PluralRules(locale);

/** The text of this key, with what stands in braces put in; of several forms the one for the number `n`. */
export function t(key, values = {}) {
  const text = told.words[key] ?? told.words[`${key}.${plural.select(values.n)}`] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name === "n" && typeof values.n === "number"
    ? values.n.toLocaleString(locale) : values[name] ?? whole));
}

/** Says what stands in the page itself, by the attribute data-t. */
export function translate(root = document) {
  document.documentElement.lang = language;
  for (const one of root.querySelectorAll("[data-t]")) one.textContent = t(one.dataset.t);
}

/** A choice of the languages there are; the page is loaded anew in the one that is taken, where it was. */
export function languageSwitch(select) {
  select.replaceChildren(...told.languages.map(([tag, name]) => {
    const option = new Option(name, tag, tag === language, tag === language);
    option.lang = tag;
    return option;
  }));
  select.setAttribute("aria-label", t("language"));
  select.addEventListener("change", () => {
    try { localStorage.setItem(KEY, select.value); } catch { /* it is asked for again next time */ }
    location.reload();
  });
}
