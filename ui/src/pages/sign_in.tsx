// Signing in, and the password of one's own that the first boot asks for.
import { useState } from "preact/hooks";
import { ask, me, Refused, reason, signIn, signOut, whoAmI } from "../api";
import { Field } from "../parts/field";
import { Fault, useTask } from "../parts/small";
import { kept, keep, type Language, language, t } from "../words";

function told(fault: unknown): Error {
  return fault instanceof Refused ? fault : new Error(t("noBoard", { why: reason(fault) }));
}

export function Languages() {
  return (
    <label>
      {t("language")}
      <select
        value={language.value}
        onChange={(e) => {
          language.value = e.currentTarget.value as Language;
        }}
      >
        <option value="en">English</option>
        <option value="fr">Français</option>
      </select>
    </label>
  );
}

export function SignIn() {
  const [fault, running, run] = useTask();
  const [user, setUser] = useState(kept("user") ?? "");
  const [password, setPassword] = useState("");
  return (
    <main class="gate">
      <form
        class="card"
        onSubmit={(e) => {
          e.preventDefault();
          run(async () => {
            try {
              await signIn(user, password);
              keep("user", user);
            } catch (thrown) {
              setPassword("");
              throw told(thrown);
            }
          });
        }}
      >
        <img src="/icon.svg" alt="" width="56" height="56" />
        <h1>{t("signIn")}</h1>
        <Field
          label={t("user")}
          name="user"
          autocomplete="username"
          autocapitalize="none"
          spellcheck={false}
          required
          value={user}
          set={setUser}
        />
        <Field
          label={t("password")}
          name="password"
          type="password"
          autocomplete="current-password"
          required
          value={password}
          set={setPassword}
        />
        <Fault text={fault} />
        <button type="submit" class="main" disabled={running}>
          {t(running ? "signingIn" : "signIn")}
        </button>
        <Languages />
      </form>
    </main>
  );
}

export function ChoosePassword() {
  const [fault, running, run] = useTask();
  const [first, setFirst] = useState("");
  const [again, setAgain] = useState("");
  return (
    <main class="gate">
      <form
        class="card"
        onSubmit={(e) => {
          e.preventDefault();
          run(async () => {
            if (first !== again) throw new Error(t("notSame"));
            await ask("POST", "/api/password", { new: first }).catch((thrown) => {
              throw told(thrown);
            });
            await whoAmI();
          });
        }}
      >
        <h1>{t("choosePassword")}</h1>
        <p>{t("chooseWhy")}</p>
        <input type="hidden" name="user" autocomplete="username" value={me.value?.user} />
        <Field
          label={t("newPassword")}
          name="new"
          type="password"
          autocomplete="new-password"
          required
          value={first}
          set={setFirst}
        />
        <Field
          label={t("again")}
          name="again"
          type="password"
          autocomplete="new-password"
          required
          value={again}
          set={setAgain}
        />
        <Fault text={fault} />
        <button type="submit" class="main" disabled={running}>
          {t("save")}
        </button>
        <button type="button" onClick={() => run(signOut)}>
          {t("signOut")}
        </button>
      </form>
    </main>
  );
}
