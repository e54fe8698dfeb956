// Who is signed in from where, how the page looks, what board this is.
import { useEffect, useState } from "preact/hooks";
import { ask, me, signOut, state } from "../api";
import { Field } from "../parts/field";
import { Card, Fault, Mark, useTask } from "../parts/small";
import { Go } from "../route";
import type { SignedIn } from "../types";
import { age, span, type Theme, t, theme } from "../words";
import { Languages } from "./sign_in";

function Sessions() {
  const who = me.value;
  const [list, setList] = useState<SignedIn[]>([]);
  const [own, setOwn] = useState<number | null>(null);
  const [fault, running, run] = useTask();
  const read = async () => {
    const said = await ask<{ sessions: SignedIn[]; own: number | null }>("GET", "/api/sessions");
    setList(said.sessions);
    setOwn(said.own);
  };
  useEffect(() => {
    run(read);
    const timer = setInterval(() => read().catch(() => {}), 5000);
    return () => clearInterval(timer);
  }, []);
  const everywhere = async () => {
    const { sessions } = await ask<{ sessions: SignedIn[] }>("GET", "/api/sessions");
    for (const one of sessions) {
      // One that ended by itself meanwhile is no fault.
      if (one.user === who?.user && one.id !== who.session)
        await ask("DELETE", `/api/sessions/${one.id}`).catch(() => {});
    }
    await signOut();
  };
  return (
    <Card title={t("sessions")}>
      <ul class="sessions">
        {list.map((one) => (
          <li key={one.id} class="row spread">
            <div>
              <p>
                {one.user} {one.id === own ? <strong>({t("thisOne")})</strong> : null}
              </p>
              <small>
                {one.from} · {t("since", { age: age(one.since) })}
                {one.idle_seconds > 60 ? ` · ${t("idle", { age: span(one.idle_seconds * 1000) })}` : ""}
              </small>
            </div>
            {one.id === own ? null : (
              <button
                type="button"
                disabled={running}
                aria-label={t("endSession", { user: one.user, from: one.from })}
                onClick={() =>
                  run(async () => {
                    await ask("DELETE", `/api/sessions/${one.id}`);
                    await read();
                  })
                }
              >
                {t("end")}
              </button>
            )}
          </li>
        ))}
      </ul>
      <Fault text={fault} />
      <div class="row">
        <button type="button" disabled={running} onClick={() => run(signOut)}>
          {t("signOut")}
        </button>
        <button type="button" disabled={running} onClick={() => run(everywhere)}>
          {t("signOutAll")}
        </button>
      </div>
    </Card>
  );
}

const SETTINGS = [
  ["config", "configAbout"],
  ["users", "usersAbout"],
  ["certificate", "certificateAbout"],
] as const;

function Board() {
  const shown = SETTINGS.filter(([name]) => name === "certificate" || me.value?.role === "administrator");
  return (
    <Card title={t("board")}>
      <ul class="rows">
        {shown.map(([name, about]) => (
          <li key={name}>
            <Go to={`/more/${name}`}>
              <div class="grow">
                <p>{t(name)}</p>
                <small>{t(about)}</small>
              </div>
            </Go>
          </li>
        ))}
      </ul>
      {me.value?.role === "administrator" ? (
        <div class="row">
          <a class="button" href="/api/support-bundle" download>
            {t("supportBundle")}
          </a>
        </div>
      ) : null}
    </Card>
  );
}

function Password() {
  const [fault, running, run] = useTask();
  const [open, setOpen] = useState(false);
  const [done, setDone] = useState(false);
  const [old, setOld] = useState("");
  const [first, setFirst] = useState("");
  const [again, setAgain] = useState("");
  if (!open) {
    return (
      <div class="row">
        <button
          type="button"
          onClick={() => {
            setOpen(true);
            setDone(false);
          }}
        >
          {t("changePassword")}
        </button>
        {done ? (
          <p class="came" role="status">
            <Mark tone="good" /> {t("passwordChanged")}
          </p>
        ) : null}
      </div>
    );
  }
  return (
    <form
      class="fields"
      onSubmit={(e) => {
        e.preventDefault();
        run(async () => {
          if (first !== again) throw new Error(t("notSame"));
          await ask("POST", "/api/password", { old, new: first });
          for (const empty of [setOld, setFirst, setAgain]) empty("");
          setDone(true);
          setOpen(false);
        });
      }}
    >
      <input type="hidden" name="user" autocomplete="username" value={me.value?.user} />
      <Field
        label={t("oldPassword")}
        type="password"
        autocomplete="current-password"
        required
        value={old}
        set={setOld}
      />
      <Field
        label={t("newPassword")}
        type="password"
        autocomplete="new-password"
        required
        value={first}
        set={setFirst}
      />
      <Field label={t("again")} type="password" autocomplete="new-password" required value={again} set={setAgain} />
      <Fault text={fault} />
      <div class="row">
        <button type="submit" class="main" disabled={running}>
          {t("save")}
        </button>
        <button type="button" onClick={() => setOpen(false)}>
          {t("cancel")}
        </button>
      </div>
    </form>
  );
}

export function More() {
  const now = state.value;
  const who = me.value;
  if (!now || !who) return null;
  return (
    <>
      <h1 tabIndex={-1}>{t("more")}</h1>
      <div class="columns">
        <div>
          <Card title={t("account")}>
            <p>{t("asRole", { user: who.user, role: t(who.role) })}</p>
            <Password />
          </Card>
          <Sessions />
        </div>
        <div>
          <Board />
          {now.config_problems.length ? (
            <Card title={t("configRefused", { n: now.config_problems.length })}>
              <ul class="events">
                {now.config_problems.map((problem) => (
                  <li key={problem}>
                    <Mark tone="bad" />
                    <pre>{problem}</pre>
                  </li>
                ))}
              </ul>
            </Card>
          ) : null}
          <Card title={t("settings")}>
            <div class="row filters">
              <Languages />
              <label>
                {t("theme")}
                <select
                  value={theme.value}
                  onChange={(e) => {
                    theme.value = e.currentTarget.value as Theme;
                  }}
                >
                  <option value="auto">{t("themeAuto")}</option>
                  <option value="dark">{t("themeDark")}</option>
                  <option value="light">{t("themeLight")}</option>
                </select>
              </label>
            </div>
          </Card>
          <Card title={t("about")}>
            <dl class="facts">
              <div>
                <dt>{t("name")}</dt>
                <dd>{now.device}</dd>
              </div>
              <div>
                <dt>{t("version")}</dt>
                <dd>{now.version}</dd>
              </div>
              <div>
                <dt>{t("running")}</dt>
                <dd>{age(now.started_at)}</dd>
              </div>
              <div class="long">
                <dt>{t("fingerprint")}</dt>
                <dd>{now.doors.https?.fingerprint}</dd>
              </div>
            </dl>
            <p>
              <a href="/licences.txt">{t("licences")}</a>
            </p>
          </Card>
        </div>
      </div>
    </>
  );
}
