// Requests to the board: who is signed in, the state, commands. The session is a cookie that scripts cannot read.
import { signal } from "@preact/signals";
import type { Me, State, Verb } from "./types";

/** `undefined`: not asked yet; `null`: nobody is signed in. */
export const me = signal<Me | null | undefined>(undefined);
export const state = signal<State | null>(null);
/** The board's clock less ours, in milliseconds. */
export const skew = signal(0);

/** An answer that is no success; `message` is the board's own sentence. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** A request that gets no answer for so long is given up; the board's own limit is 50 s. */
const LIMIT = 60_000;

/** Every answer says what time it is on the board. */
export function setClock(answer: Response) {
  const date = Date.parse(answer.headers.get("date") ?? "");
  if (date) skew.value = date - Date.now();
}

export async function ask<T>(method: string, path: string, body?: unknown, limit = LIMIT): Promise<T> {
  const given: RequestInit = { method, signal: AbortSignal.timeout(limit), cache: "no-store" };
  if (body !== undefined) {
    given.headers = { "Content-Type": "application/json" };
    given.body = JSON.stringify(body);
  }
  const answer = await fetch(path, given);
  setClock(answer);
  const said = await answer.json().catch(() => ({}));
  if (answer.ok) return said as T;
  if (answer.status === 401 && path !== "/api/session") signedOut();
  throw new Refused(answer.status, said.error ?? `${answer.status}`);
}

export function signedOut() {
  me.value = null;
  state.value = null;
}

export async function whoAmI() {
  try {
    me.value = await ask<Me>("GET", "/api/session");
  } catch (fault) {
    if (!(fault instanceof Refused) || fault.status !== 401) throw fault;
    signedOut();
  }
}

export async function signIn(user: string, password: string) {
  me.value = await ask<Me>("POST", "/api/session", { user, password });
}

export async function signOut() {
  try {
    await ask("DELETE", "/api/session");
  } catch (fault) {
    if (!(fault instanceof Refused) || fault.status !== 401) throw fault;
  }
  signedOut();
}

export const mayChange = () => me.value?.role !== "readonly";

/** A command that only looks. */
export async function query(given: unknown): Promise<unknown> {
  const { reply } = await ask<{ reply: unknown }>("POST", "/api/command", given);
  return reply;
}

/** A command, and what it changed of the state. */
export async function command(given: unknown): Promise<unknown> {
  const reply = await query(given);
  await news();
  return reply;
}

export function switchOutlet(pdu: string, outlet: string, verb: Verb) {
  return command({ SwitchOutlets: { pdu, outlets: [outlet], verb, cut_myself: false } });
}

export function switchMachine(machine: string, verb: Verb) {
  return command({ SwitchMachine: { machine, verb, cut_myself: false } });
}

/** The state of this moment, for who cannot wait for the stream. */
export const readState = () => ask<State>("GET", "/api/state", undefined, 15_000);

const waiting = new Set<() => void>();

/** The stream has brought a picture of the state. */
export function seen() {
  for (const done of waiting) done();
  waiting.clear();
}

/** Waits until the state has news; what was just done shows within this time, or does not show at all. */
export function news(limit = 1000): Promise<void> {
  return new Promise((done) => {
    waiting.add(done);
    setTimeout(() => {
      waiting.delete(done);
      done();
    }, limit);
  });
}

/** Text of whatever was thrown. */
export function reason(fault: unknown): string {
  return fault instanceof Error ? fault.message : String(fault);
}
