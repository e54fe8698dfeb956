// The ways out, the LAN, and the guard that keeps the board from being a gateway.
import { useState } from "preact/hooks";
import { command, mayChange, state } from "../api";
import { Hold } from "../parts/hold";
import { Networks } from "../parts/networks";
import { bytes, Curve, usePast } from "../parts/past";
import { Bars, Card, Fault, Mark, useTask, useTick } from "../parts/small";
import { PHASES } from "../parts/strip";
import type { Link, Uplink } from "../types";
import { age, t } from "../words";

function One({ uplink }: { uplink: Uplink }) {
  const [fault, running, run] = useTask();
  const [tone, phase] = PHASES[uplink.phase];
  const give = (name: string) => () => run(() => command({ [name]: { uplink: uplink.name } }));
  const past = usePast({ ReadUplinkHistory: { uplink: uplink.name } });
  const [hears, setHears] = useState(false);
  const [signal, ...traffic] = past?.series ?? [];
  const facts: [Parameters<typeof t>[0], preact.ComponentChildren][] = [];
  if (uplink.ssid) facts.push(["network", uplink.ssid]);
  if (uplink.signal_dbm !== null) facts.push(["signal", <Bars dbm={uplink.signal_dbm} />]);
  if (uplink.security) facts.push(["security", uplink.security]);
  if (uplink.address) facts.push(["address", uplink.address]);
  facts.push(["internet", t(({ yes: "yes", no: "no", unknown: "unknown" } as const)[uplink.internet])]);
  for (const one of traffic) {
    if (one.total) facts.push([one.name === "sent" ? "sentBytes" : "received", bytes(one.total)]);
  }
  return (
    <Card
      title={uplink.name}
      extra={
        <span class="standing">
          <Mark tone={tone} />
          {t(phase)}
        </span>
      }
    >
      <p>
        {uplink.why} <small>{t("since", { age: age(uplink.since) })}</small>
      </p>
      <dl class="facts">
        {facts.map(([word, value]) => (
          <div key={word}>
            <dt>{t(word)}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {past && signal ? <Curve past={past} series={signal} now={uplink.signal_dbm} /> : null}
      {mayChange() ? (
        <div class="row">
          <button type="button" disabled={running} onClick={give("RescanUplink")}>
            {t("search")}
          </button>
          <button type="button" disabled={running} onClick={give("TakeUplinkUp")}>
            {t("takeUp")}
          </button>
          <button type="button" disabled={running} onClick={give("ReleaseUplink")}>
            {t("automatic")}
          </button>
          <Hold verb={t("takeDown")} name={uplink.name} disabled={running} act={give("TakeUplinkDown")} />
        </div>
      ) : null}
      <Fault text={fault} />
      {uplink.kind === "wifi" ? (
        <details class="folded" open={hears} onToggle={(event) => setHears(event.currentTarget.open)}>
          <summary>{t("networks")}</summary>
          {hears ? <Networks uplink={uplink.name} /> : null}
        </details>
      ) : null}
    </Card>
  );
}

function LinkRow({ link }: { link: Link }) {
  const role = typeof link.role === "string" ? link.role : link.role.uplink;
  return (
    <li>
      <Mark tone={link.carrier ? "good" : role === "unused" ? "idle" : "bad"} />
      <div>
        <p>
          {link.interface} <small>{role === "lan" ? "LAN" : role}</small>
        </p>
        <small>
          {[
            t(link.carrier ? "carrier" : "noCarrier"),
            ...link.addresses,
            ...link.gateways.map((one) => `→ ${one}`),
          ].join(" · ")}
        </small>
      </div>
    </li>
  );
}

export function Uplinks() {
  useTick();
  const now = state.value;
  if (!now) return null;
  const { sealed, checked_at, open } = now.guard;
  return (
    <>
      <h1 tabIndex={-1}>{t("uplinks")}</h1>
      <div class="columns">
        <div>
          {Object.values(now.uplinks).map((uplink) => (
            <One key={uplink.name} uplink={uplink} />
          ))}
          {Object.keys(now.uplinks).length === 0 ? <p class="card quiet">{t("noUplinks")}</p> : null}
        </div>
        <div>
          <Card title={t("links")}>
            <ul class="events">
              {Object.values(now.links).map((link) => (
                <LinkRow key={link.interface} link={link} />
              ))}
            </ul>
          </Card>
          <Card title={t("guard")}>
            <p class="well">
              <Mark tone={sealed === null ? "idle" : sealed ? "good" : "bad"} />
              {sealed === null || !checked_at
                ? t("guardUnknown")
                : sealed
                  ? t("sealed", { age: age(checked_at) })
                  : t("unsealed", { what: open.join(", ") })}
            </p>
          </Card>
        </div>
      </div>
    </>
  );
}
