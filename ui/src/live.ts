// What happens, as it happens: one stream of events that resumes by sequence number, and the state read anew with it.
import { computed, effect, signal } from "@preact/signals";
import { me, refresh, signedOut, state } from "./api";
import type { BoardEvent } from "./types";

/** Newest first. */
export const events = signal<BoardEvent[]>([]);
/** Does the board answer? `null` while the first answer is awaited. */
export const online = signal<boolean | null>(null);

const KEPT = 500;
const FIRST = 100;
/** The board says something every 15 s: after a little more it may be asked anew, after much more it is gone. */
const BEAT = 17_000;
const SILENCE = 25_000;
const PAUSES = [500, 1000, 2000, 4000];

let seq = 0;
let heard = 0;
let cut = new AbortController();
let wake: (() => void) | null = null;

/** Ends what the stream waits for, so that it begins anew at once: the phone woke up, or the network came back. */
export function nudge() {
  if (online.value !== false && Date.now() - heard < BEAT) return;
  cut.abort();
  wake?.();
}

async function take(reader: ReadableStreamDefaultReader<Uint8Array>) {
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    heard = Date.now();
    online.value = true;
    text += decoder.decode(value, { stream: true });
    const blocks = text.split("\n\n");
    text = blocks.pop() ?? "";
    const fresh: BoardEvent[] = [];
    for (const block of blocks) {
      const data = block.split("\n").find((line) => line.startsWith("data:"));
      if (data) fresh.push(JSON.parse(data.slice(5)));
    }
    keep(fresh);
  }
}

function keep(fresh: BoardEvent[]) {
  const news = fresh.filter((event) => event.seq > seq);
  const last = news.at(-1);
  if (!last) return;
  seq = last.seq;
  events.value = [...news.reverse(), ...events.value].slice(0, KEPT);
  soon(150);
}

async function follow() {
  const from = seq ? `after=${seq}` : `newest=${FIRST}`;
  cut = new AbortController();
  heard = Date.now();
  const watch = setInterval(() => {
    if (Date.now() - heard > SILENCE) cut.abort();
  }, 1000);
  try {
    const answer = await fetch(`/api/events?${from}`, { signal: cut.signal, cache: "no-store" });
    if (answer.status === 401) return signedOut();
    if (!answer.ok || !answer.body) throw new Error(`${answer.status}`);
    online.value = true;
    heard = Date.now();
    soon(0);
    await take(answer.body.getReader());
  } finally {
    clearInterval(watch);
  }
}

let running = false;

async function run() {
  if (running) return;
  running = true;
  let failures = 0;
  while (me.value && !me.value.must_change_password) {
    const before = heard;
    try {
      await follow();
    } catch {
      // The pause below is all there is to do; `online` tells.
    }
    if (!me.value) break;
    online.value = false;
    failures = heard > before + 5000 ? 0 : failures + 1;
    await new Promise<void>((done) => {
      wake = done;
      setTimeout(done, PAUSES[Math.min(failures, PAUSES.length - 1)]);
    });
  }
  running = false;
  online.value = null;
}

/** A verb is on its way: its outcome is awaited by somebody who looks. */
export const busy = computed(() => {
  const now = state.value;
  if (!now) return false;
  const outlets = Object.values(now.pdus).flatMap((pdu) => pdu.outlets);
  return [...outlets, ...Object.values(now.machines)].some(
    (one) => one.in_transition || one.action?.outcome === "running",
  );
});

let timer: ReturnType<typeof setTimeout> | undefined;
let due = Number.POSITIVE_INFINITY;

/** Reads the state after so long, unless that is to happen sooner already. */
export function soon(pause: number) {
  const at = Date.now() + pause;
  if (at >= due) return;
  due = at;
  clearTimeout(timer);
  timer = setTimeout(async () => {
    due = Number.POSITIVE_INFINITY;
    if (!me.value || me.value.must_change_password) return;
    try {
      await refresh();
    } catch {
      // The stream says that the board is not reached.
    }
    soon(document.hidden ? 60_000 : busy.value ? 700 : 10_000);
  }, pause);
}

export function begin() {
  effect(() => {
    if (me.value && !me.value.must_change_password) {
      soon(0);
      run();
    } else {
      // What the one who signs in next may not see.
      events.value = [];
      seq = 0;
      cut.abort();
      wake?.();
    }
  });
  addEventListener("online", nudge);
  addEventListener("offline", () => {
    online.value = false;
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) {
      nudge();
      soon(0);
    }
  });
}
