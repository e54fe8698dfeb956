// The small pieces every page is made of.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { reason } from "../api";
import { clock } from "../words";

export type Tone = "good" | "warn" | "bad" | "idle";

const SHAPES: Record<Tone, string> = {
  good: "M3 8.5l3.2 3.2L13 5",
  warn: "M8 3v6M8 12v.6",
  bad: "M4 4l8 8M12 4l-8 8",
  idle: "M4 8h8",
};

/** A coloured mark whose shape says the same; the words stand beside it. */
export function Mark({ tone }: { tone: Tone }) {
  return (
    <svg class={`mark ${tone}`} viewBox="0 0 16 16" aria-hidden="true">
      <path d={SHAPES[tone]} />
    </svg>
  );
}

const ICONS = {
  now: "M4 13h4l2-7 4 12 2-5h4",
  targets: "M4 5h16v10H4zM8 19h8M12 15v4",
  events: "M8 6h12M8 12h12M8 18h12M4 6h.01M4 12h.01M4 18h.01",
  uplinks: "M12 19v-5M8.5 12a5 5 0 0 1 7 0M5.5 8.5a9.5 9.5 0 0 1 13 0M12 19h.01",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  back: "M15 5l-7 7 7 7",
  console: "M4 5h16v14H4zM7 10l3 2.5L7 15M12 15h4",
  power: "M12 4v8M7 7a7 7 0 1 0 10 0",
  screen: "M4 5h16v11H4zM9 20h6",
} as const;

export function Icon({ name }: { name: keyof typeof ICONS }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={ICONS[name]} />
    </svg>
  );
}

/** Bars as phones have them: −55 dBm is four, −85 none. */
export function Bars({ dbm }: { dbm: number }) {
  const bars = Math.max(0, Math.min(4, Math.round((dbm + 88) / 8)));
  return (
    <span>
      <svg class="bars" viewBox="0 0 20 14" aria-hidden="true">
        {[0, 1, 2, 3].map((n) => (
          <rect key={n} class={n < bars ? "on" : ""} x={n * 5} y={10 - n * 3} width="3.5" height={4 + n * 3} rx="1" />
        ))}
      </svg>
      {`${dbm} dBm`.replace("-", "−")}
    </span>
  );
}

export function Time({ at }: { at: string }) {
  return (
    <time dateTime={at} title={at}>
      {clock(at)}
    </time>
  );
}

/** Looks again every second, for what says how old something is. */
export function useTick(active = true) {
  const [, set] = useState(0);
  useEffect(() => {
    if (!active) return;
    const timer = setInterval(() => set((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, [active]);
}

/** Runs what a button asks for; holds what went wrong, and whether it still runs. */
export function useTask(): [string, boolean, (work: () => Promise<unknown>) => Promise<void>] {
  const [fault, setFault] = useState("");
  const [running, setRunning] = useState(false);
  const run = async (work: () => Promise<unknown>) => {
    setRunning(true);
    setFault("");
    try {
      await work();
    } catch (thrown) {
      setFault(reason(thrown));
    } finally {
      setRunning(false);
    }
  };
  return [fault, running, run];
}

/** Read aloud when it appears. */
export function Fault({ text }: { text: string }) {
  return (
    <p class="fault" role="alert" hidden={!text}>
      {text}
    </p>
  );
}

export function Card({
  title,
  children,
  extra,
}: {
  title: string;
  children: ComponentChildren;
  extra?: ComponentChildren;
}) {
  return (
    <section class="card">
      <header>
        <h2>{title}</h2>
        {extra}
      </header>
      {children}
    </section>
  );
}
