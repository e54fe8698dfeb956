// What happens, as it happens: one stream with the state, what changes of it, and the events, which resume by sequence number.
import { effect, signal } from "@preact/signals";
import { me, seen, setClock, signedOut, state } from "./api";
import type { BoardEvent, Change, State } from "./types";

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
      const field = (name: string) =>
        block
          .split("\n")
          .find((line) => line.startsWith(`${name}:`))
          ?.slice(name.length + 1);
      const data = field("data");
      if (!data) continue;
      const kind = field("event")?.trim();
      if (kind === "state") show(JSON.parse(data));
      else if (kind === "change") show(changed(state.value, JSON.parse(data)));
      else fresh.push(JSON.parse(data));
    }
    keep(fresh);
  }
}

function show(now: State | null) {
  if (!me.value || !now) return;
  state.value = now;
  seen();
}

type Tree = { [key: string]: unknown };

/** A picture with these changes. What they do not touch stays the same object. */
export function changed(old: State | null, changes: Change[]): State | null {
  if (!old) return null;
  const now: Tree = { ...old };
  const copied = new Set<string>();
  for (const { path, value } of changes) {
    const [key, name] = path;
    if (key === undefined) continue;
    if (name === undefined) {
      now[key] = value;
      continue;
    }
    if (!copied.has(key)) now[key] = { ...(now[key] as Tree) };
    copied.add(key);
    const place = now[key] as Tree;
    if (value === undefined) delete place[name];
    else place[name] = value;
  }
  return now as unknown as State;
}

function keep(fresh: BoardEvent[]) {
  const news = fresh.filter((event) => event.seq > seq);
  const last = news.at(-1);
  if (!last) return;
  seq = last.seq;
  events.value = [...news.reverse(), ...events.value].slice(0, KEPT);
}

async function follow() {
  const from = seq ? `after=${seq}` : `newest=${FIRST}`;
  cut = new AbortController();
  heard = Date.now();
  const watch = setInterval(() => {
    if (Date.now() - heard > SILENCE) cut.abort();
  }, 1000);
  try {
    const answer = await fetch(`/api/state/stream?${from}`, { signal: cut.signal, cache: "no-store" });
    if (answer.status === 401) return signedOut();
    if (!answer.ok || !answer.body) throw new Error(`${answer.status}`);
    setClock(answer);
    online.value = true;
    heard = Date.now();
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

export function begin() {
  effect(() => {
    if (me.value && !me.value.must_change_password) {
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
    if (!document.hidden) nudge();
  });
}
