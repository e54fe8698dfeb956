// The keys that a phone's keyboard does not have.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { t } from "../words";

const KEYS: [string, string, string?][] = [
  ["Esc", "\x1b"],
  ["Tab", "\t"],
  ["↑", "\x1b[A", "Up"],
  ["↓", "\x1b[B", "Down"],
  ["←", "\x1b[D", "Left"],
  ["→", "\x1b[C", "Right"],
  ["^C", "\x03", "Ctrl C"],
  ["^D", "\x04", "Ctrl D"],
  ["|", "|"],
  ["~", "~"],
  ["/", "/"],
  ["-", "-"],
];

/** What Ctrl and this key make, as terminals have it; the text itself where there is no such character. */
export function control(text: string): string {
  const code = text.toUpperCase().charCodeAt(0);
  if (text.length !== 1) return text;
  if (code >= 0x40 && code <= 0x5f) return String.fromCharCode(code & 0x1f);
  return text === " " ? "\x00" : text === "?" ? "\x7f" : text;
}

interface Props {
  ctrl: boolean;
  setCtrl: (on: boolean) => void;
  type: (text: string) => void;
  /** Goes after the keys. */
  children?: ComponentChildren;
}

export function Keys({ ctrl, setCtrl, type, children }: Props) {
  return (
    <div class="keys" role="toolbar" aria-label={t("keys")}>
      <button
        type="button"
        aria-pressed={ctrl}
        onPointerDown={(e) => e.preventDefault()}
        onClick={() => setCtrl(!ctrl)}
      >
        Ctrl
      </button>
      {KEYS.map(([name, text, spoken]) => (
        // The terminal keeps the focus, and so the phone its keyboard.
        <button
          type="button"
          key={name}
          aria-label={spoken}
          onPointerDown={(e) => e.preventDefault()}
          onClick={() => type(text)}
        >
          {name}
        </button>
      ))}
      {children}
    </div>
  );
}

interface PasteProps {
  send: (text: string) => boolean;
  close: () => void;
}

/** Line by line: a device at 9600 baud without flow control loses what comes faster than it reads. */
export function Paste({ send, close }: PasteProps) {
  const [text, setText] = useState("");
  const [pause, setPause] = useState(30);
  const [at, setAt] = useState(0);
  const [fault, setFault] = useState("");
  const lines = text.split(/\r\n|\r|\n/);
  const run = async () => {
    setFault("");
    for (const [n, line] of lines.entries()) {
      const last = n === lines.length - 1;
      if (last && line === "") break;
      setAt(n + 1);
      if (!send(last ? line : `${line}\r`)) {
        setAt(0);
        return setFault(t("notSentOffline"));
      }
      await new Promise((done) => setTimeout(done, pause));
    }
    close();
  };
  return (
    <dialog
      aria-label={t("pasteTitle")}
      ref={(dialog) => {
        if (dialog && !dialog.open) {
          dialog.showModal();
          // Without leave, or without anything there, the person pastes by hand.
          navigator.clipboard?.readText?.().then(setText, () => {});
        }
      }}
      onClose={close}
    >
      <form
        onSubmit={(e) => {
          e.preventDefault();
          run();
        }}
      >
        <h2>{t("pasteTitle")}</h2>
        <label>
          {t("pasteText")}
          <textarea rows={8} value={text} spellcheck={false} onInput={(e) => setText(e.currentTarget.value)} />
        </label>
        <label>
          {t("pasteDelay")}
          <input
            type="number"
            min={0}
            max={10000}
            value={pause}
            onInput={(e) => setPause(Math.max(0, e.currentTarget.valueAsNumber || 0))}
          />
        </label>
        <p role="status">{at ? t("sent", { n: at, of: lines.length }) : ""}</p>
        <p class="fault" role="alert" hidden={!fault}>
          {fault}
        </p>
        <div class="row end">
          <button type="button" onClick={close}>
            {t("cancel")}
          </button>
          <button type="submit" class="main" disabled={!text || at > 0}>
            {t("send")}
          </button>
        </div>
      </form>
    </dialog>
  );
}
