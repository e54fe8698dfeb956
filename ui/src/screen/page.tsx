// The screen of a machine through noVNC. Touch is noVNC's own: tap, long press for the right button, two fingers scroll.
import RFB from "@novnc/novnc";
import "./screen.css";
import { useEffect, useRef, useState } from "preact/hooks";
import { mayChange, reason } from "../api";
import { online } from "../live";
import { Hold } from "../parts/hold";
import { Icon, Mark } from "../parts/small";
import { Go } from "../route";
import { t } from "../words";

type Mode = "view" | "free" | "take";
const PAUSES = [1000, 2000, 5000, 10_000];
const KEYS: [string, number, string][] = [
  ["Esc", 0xff1b, "Escape"],
  ["Tab", 0xff09, "Tab"],
  ["F2", 0xffbf, "F2"],
  ["F8", 0xffc5, "F8"],
  ["F10", 0xffc7, "F10"],
  ["F12", 0xffc9, "F12"],
  ["Del", 0xffff, "Delete"],
  ["Enter", 0xff0d, "Enter"],
];

/** A browser is not told why a WebSocket was refused; a snapshot is refused for the same reason, in words. */
async function whyNot(name: string): Promise<string> {
  const answer = await fetch(`/api/screen/${encodeURIComponent(name)}/snapshot.png`, { cache: "no-store" });
  if (answer.ok) return "";
  const said = await answer.json().catch(() => ({}));
  return said.error ?? `${answer.status}`;
}

export default function Screen({ name }: { name: string }) {
  const place = useRef<HTMLDivElement>(null);
  const picture = useRef<RFB | undefined>(undefined);
  const [mode, setMode] = useState<Mode>(mayChange() ? "free" : "view");
  const [turn, setTurn] = useState(0);
  const [open, setOpen] = useState(false);
  const [why, setWhy] = useState("");
  const [fit, setFit] = useState(true);
  const failures = useRef(0);
  const reached = online.value;

  // `turn` is another try, `reached` the network that came back
  useEffect(() => {
    if (!place.current || reached === false) return;
    let over = false;
    let timer: ReturnType<typeof setTimeout>;
    const query = { view: "?view=1", free: "", take: "?take=1" }[mode];
    const rfb = new RFB(place.current, `wss://${location.host}/api/screen/${encodeURIComponent(name)}${query}`, {
      shared: true,
      wsProtocols: ["binary"],
    });
    rfb.scaleViewport = fit;
    rfb.clipViewport = !fit;
    rfb.dragViewport = !fit && mode === "view";
    rfb.viewOnly = mode === "view";
    rfb.background = "#0b0f14";
    picture.current = rfb;
    rfb.addEventListener("connect", () => {
      failures.current = 0;
      setOpen(true);
      setWhy("");
    });
    rfb.addEventListener("disconnect", async () => {
      if (over) return;
      setOpen(false);
      setWhy(t("screenLost"));
      const pause = PAUSES[Math.min(failures.current++, PAUSES.length - 1)];
      const told = await whyNot(name).catch(reason);
      if (over) return;
      if (told) setWhy(told);
      timer = setTimeout(() => {
        // Taken once is enough: a second time would take it from whoever took it since.
        if (mode === "take") setMode("free");
        setTurn((n) => n + 1);
      }, pause);
    });
    return () => {
      over = true;
      clearTimeout(timer);
      setOpen(false);
      picture.current = undefined;
      rfb.disconnect();
    };
  }, [name, mode, turn, reached]);

  useEffect(() => {
    const rfb = picture.current;
    if (!rfb) return;
    rfb.scaleViewport = fit;
    rfb.clipViewport = !fit;
    rfb.dragViewport = !fit && mode === "view";
  }, [fit, mode]);

  const types = mode !== "view";
  return (
    <div class="viewer">
      <div class="row head">
        <Go to={`/machine/${name}`} class="button" label={t("back")}>
          <Icon name="back" />
        </Go>
        <h1 tabIndex={-1}>{name}</h1>
        <span class="standing" role="status">
          <Mark tone={open ? "good" : why ? "bad" : "warn"} />
          {open ? t(types ? "control" : "viewOnly") : why || t("connecting")}
        </span>
      </div>
      <div class="row tools">
        {mayChange() ? (
          <>
            <button type="button" aria-pressed={!types} onClick={() => setMode(types ? "view" : "free")}>
              {t("viewOnly")}
            </button>
            <button type="button" onClick={() => setMode("take")} disabled={mode === "take"}>
              {t("takeScreen")}
            </button>
          </>
        ) : null}
        <button type="button" aria-pressed={fit} onClick={() => setFit(!fit)}>
          {t("fit")}
        </button>
        <a class="button" href={`/api/screen/${encodeURIComponent(name)}/snapshot.png`} download={`${name}.png`}>
          {t("snapshot")}
        </a>
        {types ? (
          <Hold verb={t("ctrlAltDel")} name={name} disabled={!open} act={() => picture.current?.sendCtrlAltDel()} />
        ) : null}
      </div>
      <div class="picture" ref={place} role="application" aria-label={t("screenOf", { name })} />
      {types && open ? (
        <div class="keys" role="toolbar" aria-label={t("keys")}>
          {KEYS.map(([label, keysym, code]) => (
            <button
              type="button"
              key={label}
              onPointerDown={(e) => e.preventDefault()}
              onClick={() => picture.current?.sendKey(keysym, code)}
            >
              {label}
            </button>
          ))}
        </div>
      ) : null}
    </div>
  );
}
