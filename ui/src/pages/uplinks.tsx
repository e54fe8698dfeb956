// The ways out, the LAN, and the guard that keeps the board from being a gateway.
import { command, mayChange, state } from "../api";
import { Hold } from "../parts/hold";
import { Card, Fault, Mark, useTask, useTick } from "../parts/small";
import { PHASES } from "../parts/strip";
import type { Link, Uplink } from "../types";
import { age, t } from "../words";

/** Bars as phones have them: −55 dBm is four, −85 none. */
function Bars({ dbm }: { dbm: number }) {
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

function One({ uplink }: { uplink: Uplink }) {
  const [fault, running, run] = useTask();
  const [tone, phase] = PHASES[uplink.phase];
  const give = (name: string) => () => run(() => command({ [name]: { uplink: uplink.name } }));
  const facts: [Parameters<typeof t>[0], preact.ComponentChildren][] = [];
  if (uplink.ssid) facts.push(["network", uplink.ssid]);
  if (uplink.signal_dbm !== null) facts.push(["signal", <Bars dbm={uplink.signal_dbm} />]);
  if (uplink.security) facts.push(["security", uplink.security]);
  if (uplink.address) facts.push(["address", uplink.address]);
  facts.push(["internet", t(({ yes: "yes", no: "no", unknown: "unknown" } as const)[uplink.internet])]);
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
