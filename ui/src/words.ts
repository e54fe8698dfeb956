// What the page says, in the chosen language, and the looks that the person chose. Both are kept by the browser.
import { computed, effect, signal } from "@preact/signals";
import { skew } from "./api";
import { en, type Word } from "./words/en";
import { fr } from "./words/fr";

const CATALOGUES = { en, fr };
export type Language = keyof typeof CATALOGUES;
export type Theme = "auto" | "dark" | "light";

/** A browser may forbid storage. */
export function kept(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

export function keep(name: string, value: string) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // It holds until the page is closed.
  }
}

function first(): Language {
  const chosen = kept("language");
  if (chosen === "en" || chosen === "fr") return chosen;
  return navigator.language.toLowerCase().startsWith("fr") ? "fr" : "en";
}

export const language = signal<Language>(first());
export const theme = signal<Theme>((kept("theme") as Theme | null) ?? "auto");

effect(() => {
  document.documentElement.lang = language.value;
  keep("language", language.value);
});
const device = matchMedia("(prefers-color-scheme: dark)");
const deviceDark = signal(device.matches);
device.addEventListener("change", () => {
  deviceDark.value = device.matches;
});
/** The colours in use now. */
export const dark = computed(() => (theme.value === "auto" ? deviceDark.value : theme.value === "dark"));

effect(() => {
  document.documentElement.dataset.theme = dark.value ? "dark" : "light";
});
effect(() => keep("theme", theme.value));

export function t(word: Word, filled: Record<string, string | number> = {}): string {
  return CATALOGUES[language.value][word].replace(/\{(\w+)\}/g, (_, name) => String(filled[name] ?? ""));
}

/** A length of time, coarse as people say it. */
export function span(millis: number): string {
  const tenths = Math.max(0, millis) / 1000;
  if (tenths < 10) return `${tenths.toLocaleString(language.value, { maximumFractionDigits: 1 })} s`;
  const seconds = Math.round(tenths);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} ${language.value === "fr" ? "j" : "d"}`;
}

/** Time since a moment of the board's clock. */
export function ageMillis(at: string): number {
  return Date.now() + skew.value - Date.parse(at);
}

/** In whole seconds: what changes at every look is no news. */
export function age(at: string): string {
  return span(Math.round(Math.max(1000, ageMillis(at)) / 1000) * 1000);
}

/** A moment in the time of this device; the title has it in UTC. */
export function clock(at: string): string {
  const time = new Date(at);
  const today = new Date().toDateString() === time.toDateString();
  const parts: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
  if (!today) Object.assign(parts, { day: "2-digit", month: "short" });
  return time.toLocaleString(language.value, parts);
}
