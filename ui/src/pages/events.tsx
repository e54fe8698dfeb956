// The journal, live or around a moment of the past: newest first, by severity and source.
import { effect, signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { ask, me } from "../api";
import { events, online } from "../live";
import { acknowledgements, OpenAlarms, Seen } from "../parts/alarms";
import { csv, save } from "../parts/save";
import { Fault, Mark, Time, type Tone, useTask } from "../parts/small";
import type { BoardEvent, Severity } from "../types";
import { t } from "../words";

const SEVERITIES: Severity[] = ["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"];
const MORE = 200;
/** Alarms are what is this severe or more; warnings may be acknowledged as well. */
const WARNING = SEVERITIES.indexOf("warning");

const least = signal<Severity>("info");
const source = signal("");
/** Older ones than the stream gave. */
const past = signal<BoardEvent[]>([]);
/** Those around a moment, instead of what happens now. */
const around = signal<BoardEvent[] | null>(null);
const moment = signal("");

// What the one who signs in next may not see.
effect(() => {
  if (me.value) return;
  past.value = [];
  around.value = null;
});

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
  const seen = acknowledgements(events);
  return (
    <ol class="events">
      {events.map((event) => (
        <li key={event.seq}>
          <Mark tone={tone(event.severity)} />
          <div>
            <p>{event.text}</p>
            <small>
              <Time at={event.at} /> · {t(event.severity)} · {event.source}
            </small>
            {SEVERITIES.indexOf(event.severity) <= WARNING || seen.has(event.seq) ? (
              <Seen event={event} seen={seen.get(event.seq)} />
            ) : null}
          </div>
        </li>
      ))}
    </ol>
  );
}

/** Events of the journal, newest first. */
async function list(which: string): Promise<BoardEvent[]> {
  const got = await ask<{ events: BoardEvent[] }>("GET", `/api/events?follow=false&${which}`);
  return got.events.reverse();
}

/** Sequence numbers have no gaps: those just before this one. */
async function before(seq: number): Promise<BoardEvent[]> {
  const got = await list(`after=${Math.max(0, seq - 1 - MORE)}&first=${MORE}`);
  return got.filter((event) => event.seq < seq);
}

async function jump() {
  const later = await list(`since=${new Date(moment.value).toISOString()}&first=${MORE / 2}`);
  // Nothing has happened since: the newest there are.
  const found = later.length ? later : await list(`newest=${MORE / 2}`);
  const oldest = found.at(-1)?.seq ?? 0;
  around.value = [...found, ...(later.length ? (await before(oldest)).slice(0, MORE / 2) : [])];
}

function Moment() {
  const [fault, running, run] = useTask();
  return (
    <form
      class="row filters"
      onSubmit={(e) => {
        e.preventDefault();
        run(jump);
      }}
    >
      <label>
        {t("around")}
        <input
          type="datetime-local"
          required
          value={moment.value}
          onInput={(e) => {
            moment.value = e.currentTarget.value;
          }}
        />
      </label>
      <button type="submit" disabled={running}>
        {t("jump")}
      </button>
      {around.value ? (
        <button
          type="button"
          onClick={() => {
            around.value = null;
          }}
        >
          {t("backToLive")}
        </button>
      ) : null}
      <Fault text={fault} />
    </form>
  );
}

/** What came after those that are shown. */
function Newer({ all }: { all: BoardEvent[] }) {
  const [fault, running, run] = useTask();
  const [end, setEnd] = useState(false);
  const more = async () => {
    const got = await list(`after=${all[0]?.seq ?? 0}&first=${MORE}`);
    setEnd(got.length < MORE);
    around.value = [...got, ...all];
  };
  return (
    <div class="row">
      <button type="button" disabled={running} onClick={() => run(more)}>
        {t("newer")}
      </button>
      <span role="status">{end ? t("newestHere") : ""}</span>
      <Fault text={fault} />
    </div>
  );
}

export function Events() {
  const [fault, running, run] = useTask();
  const newest = events.value;
  const known = newest.at(-1)?.seq ?? 0;
  const all = around.value ?? [...newest, ...past.value.filter((event) => event.seq < known)];
  const oldest = all.at(-1)?.seq ?? 1;
  const rank = SEVERITIES.indexOf(least.value);
  const shown = all.filter(
    (event) => SEVERITIES.indexOf(event.severity) <= rank && (!source.value || event.source === source.value),
  );
  const sources = [...new Set(all.map((event) => event.source))].sort();
  const older = async () => {
    const got = await before(oldest);
    if (around.value) around.value = [...all, ...got];
    else past.value = [...past.value.filter((event) => event.seq < known), ...got];
  };
  const live = online.value && !around.value;
  return (
    <>
      <div class="row spread">
        <h1 tabIndex={-1}>{t("events")}</h1>
        <span class="standing">
          <Mark tone={live ? "good" : around.value ? "idle" : "bad"} />
          {live ? t("live") : around.value ? `${t("around")} ${moment.value.replace("T", " ")}` : t("stripReconnect")}
        </span>
      </div>
      {around.value ? null : <OpenAlarms>{(open) => <EventList events={open} />}</OpenAlarms>}
      <Moment />
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
              <option key={one} value={one}>
                {t(one)}
              </option>
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
      {around.value ? <Newer all={all} /> : null}
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
      {oldest > 1 ? (
        <button type="button" disabled={running} onClick={() => run(older)}>
          {t("older", { n: MORE })}
        </button>
      ) : null}
    </>
  );
}
