// A console as a terminal: xterm.js over the socket, with buttons for what a keyboard has no key for.
import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import "@xterm/xterm/css/xterm.css";
import "./console.css";
import { useEffect, useRef, useState } from "preact/hooks";
import { mayChange, state } from "../api";
import { Hold } from "../parts/hold";
import { Mark } from "../parts/small";
import { keep, kept, t } from "../words";
import { control, Keys, Paste } from "./keys";
import { ConsoleSocket, type Status } from "./socket";
import { adopted, adopting } from "./styles";

const touch = matchMedia("(pointer: coarse)");
const SIZES = [9, 10, 11, 12, 13, 14, 16, 18, 22];
const size = () => {
  const chosen = Number(kept("font"));
  return SIZES.includes(chosen) ? chosen : touch.matches ? 12 : 14;
};
/** A line of ours within the device's text. */
const ours = (text: string) => `\r\n\x1b[0;2m${text}\x1b[0m\r\n`;

function Sizes({ resize, ...rest }: { resize: (step: number) => void; class: string }) {
  return (
    <span {...rest}>
      <button type="button" aria-label={t("smaller")} onClick={() => resize(-1)}>
        A−
      </button>
      <button type="button" aria-label={t("larger")} onClick={() => resize(1)}>
        A+
      </button>
    </span>
  );
}

export default function ConsoleTerminal({ name }: { name: string }) {
  const place = useRef<HTMLDivElement>(null);
  const terminal = useRef<Terminal | undefined>(undefined);
  const socket = useRef<ConsoleSocket | undefined>(undefined);
  const refit = useRef(() => {});
  const sticky = useRef(false);
  const [status, setStatus] = useState<Status>({ phase: "connecting", writer: false, types: false, why: "" });
  const [hint, setHint] = useState("");
  const [ctrl, setCtrlShown] = useState(false);
  const [keys, setKeys] = useState(touch.matches);
  const [pasting, setPasting] = useState(false);
  const [reader, setReader] = useState(kept("reader") === "1");

  const setCtrl = (on: boolean) => {
    sticky.current = on;
    setCtrlShown(on);
  };
  const type = (text: string) => {
    const data = sticky.current ? control(text) : text;
    if (sticky.current) setCtrl(false);
    setHint(socket.current?.send(data) ? "" : "refused");
  };

  useEffect(() => {
    const glass = place.current;
    if (!glass) return;
    const term = new Terminal({
      documentOverride: adopting,
      fontSize: size(),
      fontFamily: 'ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", "Roboto Mono", monospace',
      scrollback: 5000,
      screenReaderMode: kept("reader") === "1",
      theme: { background: "#0b0f14", foreground: "#dfe6ee", cursor: "#7cc4ff" },
    });
    const fit = new FitAddon();
    term.loadAddon(fit);
    adopted(() => term.open(glass));
    terminal.current = term;
    refit.current = () => fit.fit();
    const watch = new ResizeObserver(() => fit.fit());
    watch.observe(glass);
    const open = new ConsoleSocket(
      name,
      {
        bytes: (data) => term.write(data),
        gap: (n) => term.write(ours(t("lost", { n }))),
        notice: (text) => term.write(ours(text)),
        anew: () => term.write(ours(t("anew"))),
        status: setStatus,
      },
      // A phone looks first: one tap types.
      mayChange() && !touch.matches,
    );
    socket.current = open;
    term.onData(type);
    term.onBinary((text) => open.send(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
    if (!touch.matches) term.focus();
    return () => {
      open.close();
      watch.disconnect();
      term.dispose();
    };
  }, [name]);

  const resize = (step: number) => {
    const term = terminal.current;
    if (!term) return;
    const at = SIZES.indexOf(size()) + step;
    const chosen = SIZES[Math.max(0, Math.min(SIZES.length - 1, at))];
    if (!chosen) return;
    keep("font", String(chosen));
    term.options.fontSize = chosen;
    refit.current();
  };
  const writer = state.value?.consoles[name]?.sessions.find((one) => one.writer);
  const take = writer && !status.writer ? t("takeFrom", { user: writer.user }) : t("takeKeyboard");
  const text = {
    connecting: t("connecting"),
    lost: t("offline"),
    ended: t("ended", { why: status.why }),
    open: t(status.writer ? "youType" : "youWatch"),
  }[status.phase];
  const tone = status.phase === "open" ? (status.writer ? "good" : "idle") : status.phase === "ended" ? "bad" : "warn";
  const hinted = hint && (status.phase === "open" ? t("notSent", { take }) : t("notSentOffline"));

  return (
    <div class="terminal">
      <div class="row tools">
        <span class="standing" role="status">
          <Mark tone={tone} />
          {text}
        </span>
        {status.phase === "ended" ? (
          <button type="button" onClick={() => socket.current?.again()}>
            {t("retry")}
          </button>
        ) : null}
        {status.phase === "open" && !status.writer && mayChange() ? (
          <button
            type="button"
            class="main"
            onClick={() => {
              socket.current?.takeWriter();
              setHint("");
              terminal.current?.focus();
            }}
          >
            {take}
          </button>
        ) : null}
        <span class="grow" />
        {status.writer ? (
          <>
            <Hold verb={t("sendBreak")} name={name} act={() => socket.current?.sendBreak()} />
            <button type="button" onClick={() => setPasting(true)}>
              {t("paste")}
            </button>
          </>
        ) : null}
        <button type="button" aria-pressed={keys} onClick={() => setKeys(!keys)}>
          {t("keys")}
        </button>
        <Sizes resize={resize} class="row rare" />
        <button
          type="button"
          class="rare"
          aria-pressed={reader}
          onClick={() => {
            keep("reader", reader ? "0" : "1");
            if (terminal.current) terminal.current.options.screenReaderMode = !reader;
            setReader(!reader);
          }}
        >
          {t("reader")}
        </button>
      </div>
      <p class="notsent" role="status">
        {hinted}
      </p>
      <div class="glass" ref={place} />
      {keys ? (
        <Keys ctrl={ctrl} setCtrl={setCtrl} type={type}>
          <Sizes resize={resize} class="row narrow" />
        </Keys>
      ) : null}
      {pasting ? <Paste send={(line) => socket.current?.send(line) ?? false} close={() => setPasting(false)} /> : null}
    </div>
  );
}
