// Everything that can be rescued: the list, and the page of each.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { state } from "../api";
import { later } from "../parts/later";
import { MachinePower, OutletPower, Standing } from "../parts/power";
import { amount, Curve, usePast } from "../parts/past";
import { Card, Icon, Mark, type Tone, useTick } from "../parts/small";
import { Go } from "../route";
import type { Console, DevicePhase, Machine, Past, Pdu, Sensor, State, Ups } from "../types";
import { age, span, t } from "../words";

const Terminal = later(() => import("../console/page"));
const Picture = later(() => import("../screen/page"));

const PORTS: Record<Console["phase"], Tone> = { open: "good", gone: "warn", failed: "bad" };
const DEVICES = { unknown: "phaseUnknown", up: "phaseUp", silent: "phaseSilent", refused: "phaseRefused" } as const;

function Row({
  to,
  mark,
  title,
  end,
  children,
}: {
  to: string;
  mark: Tone;
  title: string;
  end?: string;
  children?: ComponentChildren;
}) {
  return (
    <li>
      <Go to={to}>
        <Mark tone={mark} />
        <div class="grow">
          <p>{title}</p>
          {children ? <small class="line">{children}</small> : null}
        </div>
        {end ? <span class="end">{end}</span> : null}
      </Go>
    </li>
  );
}

function who(one: Console): string {
  const writer = one.sessions.find((session) => session.writer);
  const watchers = one.sessions.length - (writer ? 1 : 0);
  return [writer ? t("typedBy", { user: writer.user }) : t("free"), watchers ? t("watching", { n: watchers }) : ""]
    .filter(Boolean)
    .join(" · ");
}

function consoles(now: State) {
  const list = Object.values(now.consoles).sort((a, b) => a.number - b.number);
  return list.map((one) => (
    <Row key={one.name} to={`/console/${one.name}`} mark={PORTS[one.phase]} title={one.name} end={who(one)}>
      {one.phase === "open" ? one.last_line || one.line : one.why || t(one.phase)}
    </Row>
  ));
}

function machines(now: State) {
  return Object.values(now.machines).map((one) => (
    <Row
      key={one.name}
      to={`/machine/${one.name}`}
      mark={one.state === "On" ? "good" : one.state === "Off" ? "idle" : "warn"}
      title={one.name}
      end={t(one.state === "On" ? "on" : one.state === "Off" ? "off" : "unknown")}
    >
      {one.model || one.methods.join(", ")}
    </Row>
  ));
}

function pdus(now: State) {
  return Object.values(now.pdus).map((one) => {
    const on = one.outlets.filter((outlet) => outlet.state === "On").length;
    return (
      <Row
        key={one.name}
        to={`/pdu/${one.name}`}
        mark={one.phase === "up" ? "good" : one.phase === "unknown" ? "idle" : "bad"}
        title={one.name}
        end={t("onOf", { n: on, all: one.outlets.length })}
      >
        {one.phase === "up" ? one.kind : one.why || t(DEVICES[one.phase])}
      </Row>
    );
  });
}

export function TargetRows({ now, most }: { now: State; most: number }) {
  const all = [...consoles(now), ...machines(now), ...pdus(now)];
  if (all.length === 0) return <p class="quiet">{t("noTargets")}</p>;
  return <ul class="rows">{all.slice(0, most)}</ul>;
}

function Reading({ phase, why, at }: { phase: DevicePhase; why: string; at: string | null }) {
  const tone: Tone = phase === "up" ? "good" : phase === "unknown" ? "idle" : "bad";
  return (
    <p class="well">
      <Mark tone={tone} />
      <span>
        {phase === "up" ? t("phaseUp") : `${t(DEVICES[phase])}${why ? `: ${why}` : ""}`}
        <small> · {at ? t("readAt", { age: age(at) }) : t("notRead")}</small>
      </span>
    </p>
  );
}

function UpsCard({ ups }: { ups: Ups }) {
  const facts = [
    ups.status.join(" "),
    ups.charge === null ? "" : t("upsCharge", { n: Math.round(ups.charge) }),
    ups.runtime === null ? "" : t("upsLasts", { age: span(ups.runtime * 1000) }),
    ups.load === null ? "" : t("upsLoad", { n: Math.round(ups.load) }),
  ];
  return (
    <li class="plain">
      <Mark tone={ups.status.includes("OB") ? "bad" : ups.phase === "up" ? "good" : "idle"} />
      <div class="grow">
        <p>{ups.name}</p>
        <small class="line">{facts.filter(Boolean).join(" · ") || ups.why}</small>
      </div>
    </li>
  );
}

export function Targets() {
  const now = state.value;
  if (!now) return null;
  const groups = [
    ["consoles", consoles(now)],
    ["machines", machines(now)],
    ["outlets", pdus(now)],
    ["upses", Object.values(now.upses).map((ups) => <UpsCard key={ups.name} ups={ups} />)],
  ] as const;
  const filled = groups.filter(([, rows]) => rows.length);
  return (
    <>
      <h1 tabIndex={-1}>{t("targets")}</h1>
      {filled.length === 0 ? <p class="card quiet">{t("noTargets")}</p> : null}
      <div class="columns">
        {filled.map(([word, rows]) => (
          <Card key={word} title={t(word)}>
            <ul class="rows">{rows}</ul>
          </Card>
        ))}
      </div>
    </>
  );
}

function Head({ name, children }: { name: string; children?: ComponentChildren }) {
  return (
    <div class="row head">
      <Go to="/targets" class="button" label={t("back")}>
        <Icon name="back" />
      </Go>
      <h1 tabIndex={-1}>{name}</h1>
      {children}
    </div>
  );
}

function Missing({ name }: { name: string }) {
  return (
    <>
      <Head name={name} />
      <p>{t("notFound")}</p>
    </>
  );
}

/** `rack/3` as the outlet it names. */
function outletsOf(now: State, names: string[]) {
  return names.flatMap((name) => {
    const [pdu = "", key] = name.split(/\/(.*)/);
    const outlet = now.pdus[pdu]?.outlets.find((one) => one.key === key);
    return outlet ? [<OutletPower key={name} pdu={pdu} outlet={outlet} />] : [];
  });
}

export function ConsolePage({ name }: { name: string }) {
  const now = state.value;
  const found = now?.consoles[name];
  if (!now || !found) return <Missing name={name} />;
  const outlets = outletsOf(now, found.outlets);
  return (
    <>
      <Head name={name}>
        <small class="line grow">{[found.device, found.line].filter(Boolean).join(" · ")}</small>
        {found.phase === "open" ? null : (
          <span class="standing">
            <Mark tone={PORTS[found.phase]} />
            {t(found.phase)}
          </span>
        )}
      </Head>
      <Terminal name={name} />
      {outlets.length ? (
        <details class="drawer">
          <summary>{t("power")}</summary>
          {outlets}
        </details>
      ) : null}
    </>
  );
}

export function PduPage({ name }: { name: string }) {
  useTick();
  const found: Pdu | undefined = state.value?.pdus[name];
  if (!found) return <Missing name={name} />;
  return (
    <>
      <Head name={name}>
        <small>{found.kind}</small>
      </Head>
      <Reading phase={found.phase} why={found.why} at={found.read_at} />
      <div class="columns">
        {found.outlets.map((outlet) => (
          <section class="card" key={outlet.key}>
            <OutletPower pdu={name} outlet={outlet} />
          </section>
        ))}
      </div>
    </>
  );
}

/** One line of a sensor; a touch shows how it came to this. */
function SensorRow({ one, past }: { one: Sensor; past: Past | null }) {
  const kept = past?.series.find((series) => series.name === one.name);
  const series = kept ?? { name: one.name, unit: one.unit, values: [], total: null };
  const [shown, setShown] = useState(false);
  const words = (
    <>
      <Mark tone={({ ok: "good", warning: "warn", critical: "bad", unknown: "idle" } as const)[one.health]} />
      <span class="grow">{one.name}</span>
      <span>{one.value === null ? one.text : amount(one.value, one.unit)}</span>
    </>
  );
  if (!past || (!kept && one.value === null)) return <li class="row sensor">{words}</li>;
  return (
    <li>
      <details class="folded" open={shown} onToggle={(event) => setShown(event.currentTarget.open)}>
        <summary class="row sensor">{words}</summary>
        {shown ? <Curve past={past} series={series} now={one.value} /> : null}
      </details>
    </li>
  );
}

function Sensors({ machine }: { machine: Machine }) {
  const past = usePast({ ReadSensorHistory: { machine: machine.name } });
  if (machine.sensors.length === 0) return <p class="quiet">{t("noSensors")}</p>;
  return (
    <ul class="rows">
      {machine.sensors.map((one) => (
        <SensorRow key={one.name} one={one} past={past} />
      ))}
    </ul>
  );
}

export function MachinePage({ name }: { name: string }) {
  useTick();
  const now = state.value;
  const found = now?.machines[name];
  if (!now || !found) return <Missing name={name} />;
  return (
    <>
      <Head name={name}>
        <small class="line grow">{found.model}</small>
        {found.methods.includes("amt") ? (
          <Go to={`/machine/${name}/screen`} class="button">
            <Icon name="screen" /> {t("screen")}
          </Go>
        ) : null}
      </Head>
      <Reading phase={found.phase} why={found.why} at={found.read_at} />
      <div class="columns">
        <Card title={t("power")} extra={<Standing is={found.state} moving={found.in_transition} />}>
          <MachinePower machine={found} />
        </Card>
        {found.outlets.length ? <Card title={t("outlets")}>{outletsOf(now, found.outlets)}</Card> : null}
        <Card title={t("sensors")}>
          <Sensors machine={found} />
        </Card>
      </div>
    </>
  );
}

export function MachineScreen({ name }: { name: string }) {
  if (!state.value?.machines[name]) return <Missing name={name} />;
  return <Picture name={name} />;
}
