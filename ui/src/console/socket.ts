// One console over WebSocket (oobd.console.v1), across lost connections: counts the stream and resumes where it was.
import { effect } from "@preact/signals";
import { readState } from "../api";
import { online } from "../live";

export type Phase = "connecting" | "open" | "lost" | "ended";

export interface Status {
  phase: Phase;
  /** Types now. */
  writer: boolean;
  /** May ever type, in this session. */
  types: boolean;
  why: string;
}

export interface Sink {
  bytes: (data: Uint8Array) => void;
  gap: (bytes: number) => void;
  notice: (text: string) => void;
  anew: () => void;
  status: (now: Status) => void;
}

const HISTORY = 32_768;
const PAUSES = [300, 700, 1500, 3000, 5000];
/** A connection that is not open after so long never will be. */
const OPENING = 12_000;

export class ConsoleSocket {
  private socket: WebSocket | null = null;
  private offset: number | null = null;
  private next: number | null = null;
  private failures = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private closed = false;
  /** Typed when the connection was lost. */
  private wasWriter = false;
  /** Takes the keyboard once it is there. */
  private takes = false;
  private session = 0;
  private now: Status = { phase: "connecting", writer: false, types: false, why: "" };
  private readonly unwatch: () => void;

  constructor(
    private readonly name: string,
    private readonly sink: Sink,
    private wants: boolean,
  ) {
    this.open();
    // The stream of events has a heartbeat, which this socket cannot see of its own: what is dead there is dead here.
    this.unwatch = effect(() => {
      const reached = online.value;
      if (reached === false && this.now.phase === "open") this.drop("");
      else if (reached && this.now.phase === "lost") this.retry(0);
    });
  }

  private set(change: Partial<Status>) {
    this.now = { ...this.now, ...change };
    this.sink.status(this.now);
  }

  private open() {
    clearTimeout(this.timer);
    const start = this.offset === null ? `history=${HISTORY}` : `offset=${this.offset}`;
    const write = this.wants ? "&write=1" : "";
    const address = `wss://${location.host}/api/console/${encodeURIComponent(this.name)}?${start}${write}`;
    const socket = new WebSocket(address, "oobd.console.v1");
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.timer = setTimeout(() => this.drop(""), OPENING);
    socket.onmessage = ({ data }) => {
      if (socket !== this.socket) return;
      if (typeof data === "string") return this.hear(JSON.parse(data));
      const bytes = new Uint8Array(data as ArrayBuffer);
      this.offset = this.next ?? (this.offset ?? 0) + bytes.length;
      this.next = null;
      this.sink.bytes(bytes);
    };
    socket.onclose = () => {
      if (socket === this.socket) this.drop("");
    };
  }

  private hear(said: { type: string; [field: string]: unknown }) {
    switch (said.type) {
      case "hello": {
        clearTimeout(this.timer);
        this.failures = 0;
        const begins = said.offset as number;
        // Of what was asked for, or of what a gap says next; another one means that the stream began anew.
        if (this.offset !== null && begins !== this.offset) this.sink.anew();
        this.offset = begins;
        this.next = null;
        const before = this.session;
        this.session = said.session as number;
        const writer = said.writer as boolean;
        this.set({ phase: "open", writer, types: said.types as boolean, why: "" });
        if (!writer && this.now.types) {
          if (this.takes) this.takeWriter();
          else if (this.wasWriter) this.takeBack(before);
        }
        this.takes = false;
        this.wasWriter = writer;
        break;
      }
      case "offset":
        this.next = said.offset as number;
        break;
      case "gap":
        this.offset = said.offset as number;
        this.sink.gap(said.bytes as number);
        break;
      case "writer":
        this.wasWriter = said.writer as boolean;
        this.set({ writer: this.wasWriter });
        break;
      case "notice":
      case "error":
        this.sink.notice(String(said.text));
        break;
      case "ended":
        this.end(String(said.reason));
        break;
    }
  }

  /** The connection is gone; it comes back by itself. */
  private drop(why: string) {
    if (this.closed || this.now.phase === "ended") return;
    this.leave();
    this.set({ phase: "lost", writer: false, why });
    this.retry(PAUSES[Math.min(this.failures++, PAUSES.length - 1)]);
  }

  private leave() {
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  private retry(pause: number | undefined) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), pause);
  }

  /** The board ended it: a person says whether it is to begin again. */
  private end(why: string) {
    this.leave();
    this.set({ phase: "ended", writer: false, why });
  }

  again() {
    this.leave();
    this.set({ phase: "connecting", why: "" });
    this.open();
  }

  /** False: nobody heard it. */
  send(data: Uint8Array | string): boolean {
    if (this.now.phase !== "open" || !this.now.writer || !this.socket) return false;
    this.socket.send(typeof data === "string" ? new TextEncoder().encode(data) : data);
    return true;
  }

  private say(said: object) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(said));
  }

  sendBreak() {
    this.say({ type: "break" });
  }

  takeWriter() {
    if (this.now.types) return this.say({ type: "take_writer" });
    // A session that came to watch never types: come anew, at the same place.
    this.wants = true;
    this.takes = true;
    this.again();
  }

  /** The board may not know yet that our session of before is dead, and that holds the keyboard; nobody else's is taken. */
  private async takeBack(before: number) {
    const mine = this.session;
    const now = await readState().catch(() => null);
    const writer = now?.consoles[this.name]?.sessions.find((one) => one.writer);
    if (this.session === mine && (!writer || writer.id === before)) this.takeWriter();
  }

  close() {
    this.closed = true;
    this.unwatch();
    this.leave();
  }
}
