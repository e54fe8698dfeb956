// The journal, live: newest first, by severity and source.
import { signal } from "@preact/signals";
import { ask } from "../api";
import { events, online } from "../live";
import { csv, save } from "../parts/save";
import { Fault, Mark, Time, type Tone, useTask } from "../parts/small";
import type { BoardEvent, Severity } from "../types";
import { t } from "../words";

const SEVERITIES: Severity[] = ["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"];
const MORE = 200;

const least = signal<Severity>("info");
const source = signal("");
/** Older ones than the stream gave. */
const past = signal<BoardEvent[]>([]);

export function tone(severity: Severity): Tone {
  const rank = SEVERITIES.indexOf(severity);
  return rank <= 3 ? "bad" : rank === 4 ? "warn" : "idle";
}

/** Oldest first, as a journal reads. */
function table(events: BoardEvent[]): string {
  const head = ["seq", "at", "severity", "source", "text"];
  return csv([head, ...[...events].reverse().map((one) => [one.seq, one.at, one.severity, one.source, one.text])]);
}

export function EventList({ events }: { events: BoardEvent[] }) {
  if (events.length === 0) return <p class="quiet">{t("noEvents")}</p>;
  return (
    <ol class="events">
      {events.map((event) => (
        <li key={event.seq}>
          <Mark tone={tone(event.severity)} />
          <div>
            <p>{event.text}</p>
            <small>
              <Time at={event.at} /> · {event.severity} · {event.source}
            </small>
          </div>
        </li>
      ))}
    </ol>
  );
}

export function Events() {
  const [fault, running, run] = useTask();
  const newest = events.value;
  const oldest = newest.at(-1)?.seq ?? 0;
  const all = [...newest, ...past.value.filter((event) => event.seq < oldest)];
  const rank = SEVERITIES.indexOf(least.value);
  const shown = all.filter(
    (event) => SEVERITIES.indexOf(event.severity) <= rank && (!source.value || event.source === source.value),
  );
  const sources = [...new Set(all.map((event) => event.source))].sort();
  return (
    <>
      <div class="row spread">
        <h1 tabIndex={-1}>{t("events")}</h1>
        <span class="standing">
          <Mark tone={online.value ? "good" : "bad"} />
          {t(online.value ? "live" : "stripReconnect")}
        </span>
      </div>
      <div class="row filters">
        <label>
          {t("severity")}
          <select
            value={least.value}
            onChange={(e) => {
              least.value = e.currentTarget.value as Severity;
            }}
          >
            {SEVERITIES.map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </label>
        <label>
          {t("source")}
          <select
            value={source.value}
            onChange={(e) => {
              source.value = e.currentTarget.value;
            }}
          >
            <option value="">{t("anySource")}</option>
            {sources.map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </label>
      </div>
      <section class="card" aria-label={t("events")}>
        <EventList events={shown} />
      </section>
      <div class="row">
        <button type="button" onClick={() => save("events.csv", "text/csv", table(shown))}>
          {t("saveCsv")}
        </button>
        <button type="button" onClick={() => save("events.json", "application/json", JSON.stringify(shown, null, 1))}>
          {t("saveJson")}
        </button>
      </div>
      <Fault text={fault} />
      {(all.at(-1)?.seq ?? 1) > 1 ? (
        <button
          type="button"
          disabled={running}
          onClick={() =>
            run(async () => {
              const newest = Math.min(all.length + MORE, 10_000);
              const got = await ask<{ events: BoardEvent[] }>("GET", `/api/events?follow=false&newest=${newest}`);
              past.value = got.events.reverse();
            })
          }
        >
          {t("older", { n: MORE })}
        </button>
      ) : null}
    </>
  );
}
