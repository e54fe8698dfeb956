// The strip that is always on top: does the board answer, is it out of band, over what, how is the LAN.
import { state } from "../api";
import { online } from "../live";
import type { State, Uplink, UplinkPhase } from "../types";
import { t } from "../words";
import { Mark, type Tone } from "./small";

export const PHASES: Record<UplinkPhase, [Tone, Parameters<typeof t>[0]]> = {
  off: ["idle", "phaseOff"],
  absent: ["bad", "phaseAbsent"],
  searching: ["idle", "phaseSearching"],
  associating: ["warn", "phaseAssociating"],
  leasing: ["warn", "phaseLeasing"],
  up: ["good", "phaseUp"],
  failed: ["bad", "phaseFailed"],
};

export function carrying(now: State): Uplink | undefined {
  return Object.values(now.uplinks).find((uplink) => uplink.phase === "up");
}

export function lan(now: State): { tone: Tone; text: string } {
  const found = Object.values(now.links).filter((link) => link.role === "lan");
  if (found.length === 0) return { tone: "idle", text: t("lanNone") };
  if (found.some((link) => link.carrier && link.addresses.length > 0)) return { tone: "good", text: t("lanUp") };
  if (found.some((link) => link.carrier)) return { tone: "warn", text: t("lanNoAddress") };
  return { tone: "bad", text: t("lanDown") };
}

export function overview(now: State): { tone: Tone; title: string; words: string[] } {
  const uplink = carrying(now);
  const near = lan(now);
  const words: string[] = [];
  if (uplink) {
    words.push(uplink.ssid ?? uplink.name);
    if (uplink.signal_dbm !== null) words.push(`${uplink.signal_dbm} dBm`.replace("-", "−"));
    words.push(t(({ yes: "internetYes", no: "internetNo", unknown: "internetUnknown" } as const)[uplink.internet]));
  }
  words.push(near.text);
  if (!uplink) {
    for (const one of Object.values(now.uplinks).slice(0, 2)) words.push(`${one.name}: ${t(PHASES[one.phase][1])}`);
  }
  const title = uplink ? "stripOob" : near.tone === "good" ? "stripInBand" : "stripAlone";
  const tone: Tone = uplink ? (uplink.internet === "no" ? "warn" : "good") : near.tone;
  return { tone, title: t(title), words };
}

export function Strip() {
  const now = state.value;
  if (online.value === false) {
    return (
      <div class="strip bad" role="status">
        <Mark tone="bad" />
        <strong>{t("stripOffline")}</strong>
        <span>{t("stripReconnect")}</span>
      </div>
    );
  }
  if (!now) {
    return (
      <div class="strip idle" role="status">
        <Mark tone="idle" />
        <span>{t("loading")}</span>
      </div>
    );
  }
  const { tone, title, words } = overview(now);
  const sessions = Object.values(now.consoles).reduce((n, console) => n + console.sessions.length, 0);
  return (
    <div class={`strip ${tone}`} role="status">
      <Mark tone={tone} />
      <strong>{title}</strong>
      <span class="words">{words.join(" · ")}</span>
      <span class="device">
        {now.device}
        {sessions ? ` · ${t("connected", { n: sessions })}` : ""}
      </span>
    </div>
  );
}
