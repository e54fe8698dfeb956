// What the radio of an uplink hears. Looked at again by itself while it is shown; all channels only when somebody asks.
import { useEffect, useState } from "preact/hooks";
import { mayChange, query, reason } from "../api";
import type { Network } from "../types";
import { t } from "../words";
import { Bars, Fault, Mark, useTask } from "./small";

const AGAIN = 10_000;

function band(mhz: number): string {
  return mhz < 3000 ? `2${t("point")}4 GHz` : mhz < 5925 ? "5 GHz" : "6 GHz";
}

function One({ one }: { one: Network }) {
  const tone = one.joined ? "good" : one.fault ? "bad" : one.known ? "warn" : "idle";
  const standing = one.joined ? t("joined") : one.fault ? t("notUsable") : one.known ? t("known") : "";
  return (
    <li>
      <Mark tone={tone} />
      <div class="grow">
        <p>
          {one.ssid || t("hidden")} {standing ? <small>{standing}</small> : null}
        </p>
        <small>
          {[band(one.frequency_mhz), one.security === "open" ? t("openNetwork") : one.security, one.bssid].join(" · ")}
        </small>
        {one.fault ? <p class="why">{one.fault}</p> : null}
      </div>
      <Bars dbm={one.signal_dbm} />
    </li>
  );
}

export function Networks({ uplink }: { uplink: string }) {
  const [heard, set] = useState<Network[] | null>(null);
  const [why, setWhy] = useState("");
  const [fault, running, run] = useTask();
  const list = async (scan: boolean) => {
    const reply = (await query({ ListNetworks: { uplink, scan } })) as { Networks: Network[] };
    set(reply.Networks);
    setWhy("");
  };
  useEffect(() => {
    const look = () => list(false).catch((thrown) => setWhy(reason(thrown)));
    look();
    const timer = setInterval(look, AGAIN);
    return () => clearInterval(timer);
  }, [uplink]);
  return (
    <div class="fields">
      {heard?.length ? (
        <ul class="events">
          {heard.map((one) => (
            <One key={one.bssid} one={one} />
          ))}
        </ul>
      ) : (
        <p class="quiet">{why || (heard ? t("noNetworks") : t("loading"))}</p>
      )}
      {mayChange() ? (
        <div class="row">
          <button type="button" disabled={running} onClick={() => run(() => list(true))}>
            {t(running ? "scanning" : "scanAll")}
          </button>
          <small class="grow">{t("scanCost")}</small>
        </div>
      ) : null}
      <Fault text={fault} />
    </div>
  );
}
