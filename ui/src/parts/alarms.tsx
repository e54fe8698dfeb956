// Who has seen what: events acknowledged one by one, and the alarms that nobody has.
import { computed } from "@preact/signals";
import { useState } from "preact/hooks";
import { command, mayChange, state } from "../api";
import { events } from "../live";
import type { Acknowledged, Alarm, BoardEvent } from "../types";
import { t } from "../words";
import { Card, Fault, Time, useTask } from "./small";

/** Newest first. */
export const openAlarms = computed(() =>
  Object.values(state.value?.alarms ?? {})
    .filter((one) => !one.acknowledged)
    .sort((a, b) => b.event.seq - a.event.seq),
);

export const asEvent = ({ event, text }: Alarm): BoardEvent => ({ ...event, text });

/** What these events and those of the stream say of others, and what the board says of its alarms. */
export function acknowledgements(shown: BoardEvent[]): Map<number, Acknowledged> {
  const found = new Map<number, Acknowledged>();
  for (const { kind, at } of [...events.value, ...shown]) {
    const told = typeof kind === "object" ? kind.EventAcknowledged : undefined;
    // Newest first: who came first has the last word here.
    if (told) found.set(told.event, { by: told.by, note: told.note, at });
  }
  for (const one of Object.values(state.value?.alarms ?? {})) {
    if (one.acknowledged) found.set(one.event.seq, one.acknowledged);
  }
  return found;
}

const acknowledge = (seq: number, note: string) => command({ AcknowledgeEvent: { seq, note } });

/** Who has seen an event, or the way to say so. */
export function Seen({ event, seen }: { event: BoardEvent; seen: Acknowledged | undefined }) {
  const [open, setOpen] = useState(false);
  const [note, setNote] = useState("");
  const [fault, running, run] = useTask();
  if (seen) {
    return (
      <small class="seen">
        ✓ {t("acknowledgedBy", { by: seen.by.replace(/ \(.*\)$/, "") })} · <Time at={seen.at} />
        {seen.note ? ` · ${seen.note}` : ""}
      </small>
    );
  }
  if (!mayChange()) return null;
  if (!open) {
    return (
      <button
        type="button"
        class="small"
        aria-label={`${t("acknowledge")}: ${event.text}`}
        onClick={() => setOpen(true)}
      >
        {t("acknowledge")}
      </button>
    );
  }
  return (
    <form
      class="row filters"
      ref={(form) => form?.scrollIntoView({ block: "nearest" })}
      onSubmit={(e) => {
        e.preventDefault();
        run(() => acknowledge(event.seq, note));
      }}
    >
      <label>
        {t("ackNote")}
        <input
          maxLength={200}
          value={note}
          ref={(input) => input?.focus()}
          onInput={(e) => setNote(e.currentTarget.value)}
          onKeyDown={(e) => e.key === "Escape" && setOpen(false)}
        />
      </label>
      <button type="submit" class="main" disabled={running}>
        {t("acknowledge")}
      </button>
      <Fault text={fault} />
    </form>
  );
}

/** The alarms that nobody has acknowledged; nothing where there are none. `children` shows them. */
export function OpenAlarms({ children }: { children: (shown: BoardEvent[]) => preact.ComponentChildren }) {
  const [fault, running, run] = useTask();
  const open = openAlarms.value;
  if (open.length === 0) return null;
  const all = async () => {
    for (const { event } of open) await acknowledge(event.seq, "");
  };
  return (
    <Card
      title={t("alarms")}
      extra={
        mayChange() && open.length > 1 ? (
          <button type="button" disabled={running} onClick={() => run(all)}>
            {t("acknowledgeAll", { n: open.length })}
          </button>
        ) : null
      }
    >
      {children(open.map(asEvent))}
      <Fault text={fault} />
    </Card>
  );
}
