// The first page: what needs attention, the targets at a glance, what happened last.
import { skew, state } from "../api";
import { events } from "../live";
import { outcome } from "../parts/power";
import { Card, Mark, type Tone } from "../parts/small";
import { lan } from "../parts/strip";
import { Go } from "../route";
import type { State } from "../types";
import { span, t } from "../words";
import { EventList } from "./events";
import { TargetRows } from "./targets";

interface Concern {
  tone: Tone;
  text: string;
  to: string;
}

/** A clock that is off by less is only worn. */
const CLOCK = 5 * 60_000;
const TARGETS = 6;

/** What a person should look at, the worst first. */
export function concerns(now: State): Concern[] {
  const found: Concern[] = [];
  const add = (tone: Tone, text: string, to: string) => found.push({ tone, text, to });
  if (now.guard.sealed === false) add("bad", t("guardOpen", { what: now.guard.open.join(", ") }), "/uplinks");
  const open = Object.values(now.alarms).filter((one) => !one.acknowledged);
  if (open.length) add("bad", t("openAlarms", { n: open.length }), "/events");
  if (now.config_problems.length) add("bad", t("configRefused", { n: now.config_problems.length }), "/more");
  const near = lan(now);
  if (near.tone === "bad" || near.tone === "warn") add(near.tone, near.text, "/uplinks");
  for (const one of Object.values(now.uplinks)) {
    if (one.phase === "failed" || one.phase === "absent") {
      add("bad", t("uplinkIs", { name: one.name, why: one.why }), "/uplinks");
    }
  }
  for (const one of Object.values(now.consoles)) {
    if (one.phase !== "open") {
      add(
        one.phase === "failed" ? "bad" : "warn",
        t("consoleIs", { name: one.name, why: one.why || t(one.phase) }),
        `/console/${one.name}`,
      );
    }
  }
  const devices = [
    ...Object.values(now.machines).map((one) => ({ one, to: `/machine/${one.name}` })),
    ...Object.values(now.pdus).map((one) => ({ one, to: `/pdu/${one.name}` })),
    ...Object.values(now.upses).map((one) => ({ one, to: "/targets" })),
  ];
  for (const { one, to } of devices) {
    if (one.phase === "silent" || one.phase === "refused") {
      add(
        "bad",
        t("deviceIs", { name: one.name, why: one.why || t(one.phase === "silent" ? "phaseSilent" : "phaseRefused") }),
        to,
      );
    }
  }
  for (const ups of Object.values(now.upses)) {
    if (ups.status.includes("OB")) add("bad", t("onBattery", { name: ups.name }), "/targets");
  }
  const switched = [
    ...Object.values(now.machines).map((one) => ({ name: one.name, action: one.action, to: `/machine/${one.name}` })),
    ...Object.values(now.pdus).flatMap((pdu) =>
      pdu.outlets.map((one) => ({ name: `${pdu.name}/${one.key}`, action: one.action, to: `/pdu/${pdu.name}` })),
    ),
  ];
  for (const { name, action, to } of switched) {
    if (action && action.outcome !== "confirmed") {
      const { tone, text } = outcome(action);
      add(tone, t("actionIs", { name, what: text }), to);
    }
  }
  for (const owner of Object.values(now.owners)) {
    if (owner.phase === "restarting")
      add("warn", t("ownerIs", { name: owner.name, why: owner.last_fault ?? "" }), "/events");
  }
  if (Math.abs(skew.value) > CLOCK) add("warn", t("clockOff", { age: span(Math.abs(skew.value)) }), "/more");
  return found.sort((a, b) => Number(b.tone === "bad") - Number(a.tone === "bad"));
}

export function Now() {
  const now = state.value;
  if (!now) return null;
  const list = concerns(now);
  return (
    <>
      <h1 class="unseen" tabIndex={-1}>
        {t("now")}
      </h1>
      <div class="columns">
        <div>
          <Card title={t("attention")}>
            {list.length ? (
              <ul class="rows">
                {list.map((one) => (
                  <li key={one.text}>
                    <Go to={one.to}>
                      <Mark tone={one.tone} />
                      <span>{one.text}</span>
                    </Go>
                  </li>
                ))}
              </ul>
            ) : (
              <p class="well">
                <Mark tone="good" />
                {t("allWell")}
              </p>
            )}
          </Card>
          <Card title={t("targets")} extra={<Go to="/targets">{t("allTargets")}</Go>}>
            <TargetRows now={now} most={TARGETS} />
          </Card>
        </div>
        <Card title={t("latest")} extra={<Go to="/events">{t("allEvents")}</Go>}>
          <EventList events={events.value.slice(0, 5)} />
        </Card>
      </div>
    </>
  );
}
