// Values over time: what the board kept, and what came since the page was opened.
import { useEffect, useRef, useState } from "preact/hooks";
import { query, skew } from "../api";
import type { Past, Series } from "../types";
import { t } from "../words";
import { later } from "./later";

const Plot = later(() => import("../plot/page"));
const AGAIN = 60_000;
/** Values kept of those that came since, in which a minute of the board is one. */
const FRESH = 600;

/** What the board kept, asked for again each minute while it is shown. */
export function usePast(command: object): Past | null {
  const [past, set] = useState<Past | null>(null);
  const asked = JSON.stringify(command);
  useEffect(() => {
    let over = false;
    const get = () =>
      query(JSON.parse(asked)).then(
        (reply) => !over && set((reply as { Past: Past }).Past),
        // The next minute tries again; what is there stays.
        () => {},
      );
    get();
    const timer = setInterval(get, AGAIN);
    return () => {
      over = true;
      clearInterval(timer);
    };
  }, [asked]);
  return past;
}

/** `12.3 kB` */
export function bytes(count: number): string {
  let value = count;
  let unit = "B";
  for (const next of ["kB", "MB", "GB", "TB"]) {
    if (value < 1000) break;
    value /= 1000;
    unit = next;
  }
  return `${unit === "B" ? value : value.toFixed(1)} ${unit}`;
}

export function amount(value: number, unit: string): string {
  const text = Number.isInteger(value) || Math.abs(value) >= 1000 ? value.toFixed(0) : value.toFixed(1);
  return `${text} ${unit}`.replace("-", "−");
}

/** A series with what it is now, as a curve. */
export function Curve({ past, series, now }: { past: Past; series: Series; now: number | null }) {
  const fresh = useRef<[number, number | null][]>([]);
  const [data, set] = useState<{ times: number[]; values: (number | null)[] }>({ times: [], values: [] });
  useEffect(() => {
    const at = (Date.now() + skew.value) / 1000;
    const end = past.at ? Date.parse(past.at) / 1000 : at;
    fresh.current = [...fresh.current.filter(([when]) => when > end), [at, now] as [number, number | null]].slice(
      -FRESH,
    );
    const first = end - (series.values.length - 1) * past.every_seconds;
    set({
      times: [...series.values.map((_, n) => first + n * past.every_seconds), ...fresh.current.map(([when]) => when)],
      values: [...series.values, ...fresh.current.map(([, value]) => value)],
    });
  }, [past, now]);
  const known = data.values.filter((value) => value !== null);
  if (known.length === 0) return null;
  const say = (value: number) => amount(value, series.unit);
  const [least, most] = [say(Math.min(...known)), say(Math.max(...known))];
  const words = least === most ? t("steady", { value: least }) : t("between", { least, most });
  return (
    <figure>
      <Plot {...data} say={say} {...(series.unit === "dBm" ? { least: 20 } : {})} label={`${series.name}: ${words}`} />
      <figcaption>{words}</figcaption>
    </figure>
  );
}
