// A change of oobd.toml that waits to be confirmed: on every page, with how long it still has.
import { command, me, state } from "../api";
import { ageMillis, t } from "../words";
import { Fault, useTask, useTick } from "./small";

/** `4:05`, counted down. */
function clockLeft(until: string): string {
  const seconds = Math.max(0, Math.floor(-ageMillis(until) / 1000));
  const two = (n: number) => String(n).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}:${two(seconds % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}

export function TrialBar() {
  const trial = state.value?.config_trial;
  const [fault, running, run] = useTask();
  useTick(!!trial);
  if (!trial) return null;
  const [left, right] = t("trialWaits", { by: trial.by.replace(/ \(.*/, ""), left: "\n" }).split("\n");
  return (
    <section class="trial" aria-label={t("config")}>
      <p>
        <strong>
          {left}
          <span role="timer">{clockLeft(trial.until)}</span>
          {right}
        </strong>{" "}
        {t("trialHow")}
      </p>
      {me.value?.role === "administrator" ? (
        <div class="row">
          <button type="button" class="main" disabled={running} onClick={() => run(() => command("ConfirmConfig"))}>
            {t("keepChange")}
          </button>
          <button type="button" disabled={running} onClick={() => run(() => command("RollbackConfig"))}>
            {t("undoChange")}
          </button>
        </div>
      ) : null}
      <Fault text={fault} />
    </section>
  );
}
