// A button for what somebody loses work by: it acts when it was pressed for long enough. From a keyboard or a screen
// reader, where pressing long is no habit, it asks instead.
import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../words";

const LONG = 1500;

interface Props {
  verb: string;
  name: string;
  /** What else is hit, for the question. */
  about?: string;
  disabled?: boolean;
  act: () => void;
}

export function Hold({ verb, name, about, disabled, act }: Props) {
  const [pressed, setPressed] = useState(false);
  const [hint, setHint] = useState(false);
  const dialog = useRef<HTMLDialogElement>(null);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const stop = () => {
    clearTimeout(timer.current);
    setPressed(false);
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  useEffect(() => {
    if (!hint) return;
    const gone = setTimeout(() => setHint(false), 3000);
    return () => clearTimeout(gone);
  }, [hint]);
  return (
    <span class="hold">
      <button
        type="button"
        class={pressed ? "danger pressed" : "danger"}
        disabled={disabled}
        aria-label={t("holdLabel", { verb, name })}
        onPointerDown={(e) => {
          if (e.button !== 0 || disabled) return;
          setHint(false);
          setPressed(true);
          clearTimeout(timer.current);
          timer.current = setTimeout(() => {
            stop();
            navigator.vibrate?.(40);
            act();
          }, LONG);
        }}
        onPointerUp={() => {
          if (pressed) setHint(true);
          stop();
        }}
        onPointerLeave={stop}
        onPointerCancel={stop}
        onContextMenu={(e) => e.preventDefault()}
        onClick={(e) => {
          // No pointer: a key or a screen reader.
          if (e.detail === 0) dialog.current?.showModal();
        }}
      >
        <span>{verb}</span>
      </button>
      <span class="hint" role="status">
        {hint ? t("hold") : ""}
      </span>
      <dialog ref={dialog} aria-label={t("sure", { verb, name })}>
        <p>
          <strong>{t("sure", { verb, name })}</strong>
        </p>
        {about ? <p>{about}</p> : null}
        <form method="dialog" class="row end">
          <button type="submit">{t("cancel")}</button>
          <button
            type="button"
            class="danger"
            onClick={() => {
              dialog.current?.close();
              act();
            }}
          >
            {t("doIt", { verb })}
          </button>
        </form>
      </dialog>
    </span>
  );
}
