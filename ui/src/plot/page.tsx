// A curve over time through uPlot. Its numbers stand beside it in words: a canvas says nothing to who does not see it.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import "./plot.css";
import { dark, language } from "../words";

const HEIGHT = 140;
/** Seconds that a curve spans at least. */
const SPAN = 900;

export interface Curve {
  /** Seconds since 1970. */
  times: number[];
  values: (number | null)[];
  /** A value in words. */
  say: (value: number) => string;
  label: string;
  /** What the axis spans at least. */
  least?: number;
}

export default function Plot({ times, values, say, label, least }: Curve) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const latest = useRef<uPlot.AlignedData>([times, values]);
  latest.current = [times, values];
  const words = useRef(say);
  words.current = say;
  const looks = `${language.value} ${dark.value}`;

  // `looks`: the colours and words of the axes are drawn, not styled
  useEffect(() => {
    const node = place.current;
    if (!node) return;
    const draw = () => {
      plot.current?.destroy();
      const colour = (name: string) => getComputedStyle(node).getPropertyValue(name).trim();
      const axis = {
        stroke: colour("--quiet"),
        grid: { stroke: colour("--line"), width: 1 },
        ticks: { show: false },
        font: "12px system-ui, sans-serif",
      };
      const range: uPlot.Range.Function = (_, low, high) => {
        const [from, to] = low === null || high === null ? [0, 1] : [low, high];
        const wanted = least ?? Math.max(Math.abs(to) * 0.1, 1e-6);
        const room = Math.max((to - from) * 0.1, (wanted - (to - from)) / 2);
        return [from - room, to + room];
      };
      const window: uPlot.Range.Function = () => {
        const [times] = latest.current;
        const to = times[times.length - 1] ?? Date.now() / 1000;
        return [Math.min(times[0] ?? to, to - SPAN), to];
      };
      plot.current = new uPlot(
        {
          width: node.clientWidth || 300,
          height: HEIGHT,
          legend: { show: false },
          cursor: { drag: { x: false, y: false } },
          scales: { x: { range: window }, y: { range } },
          axes: [
            {
              ...axis,
              space: 60,
              size: 26,
              incrs: [60, 300, 600, 1800, 3600, 7200, 14_400, 21_600],
              values: (_, splits) =>
                splits.map((at) =>
                  new Date(at * 1000).toLocaleTimeString(language.value, {
                    hour: "2-digit",
                    minute: "2-digit",
                    hourCycle: "h23",
                  }),
                ),
            },
            { ...axis, size: 80, space: 36, values: (_, splits) => splits.map((value) => words.current(value)) },
          ],
          series: [
            {},
            {
              stroke: colour("--main"),
              width: 2,
              spanGaps: false,
              // One value alone is no line.
              points: { show: (_, __, from, to) => to - from < 30, size: 5, fill: colour("--main") },
            },
          ],
        },
        latest.current,
        node,
      );
    };
    draw();
    const width = new ResizeObserver(() => {
      plot.current?.setSize({ width: node.clientWidth || 300, height: HEIGHT });
    });
    width.observe(node);
    return () => {
      width.disconnect();
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, [looks]);

  useEffect(() => plot.current?.setData(latest.current), [times, values]);

  return <div class="plot" role="img" aria-label={label} ref={place} />;
}
