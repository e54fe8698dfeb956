// Users and what they may: named, changed and removed in oobd.toml.
import { useEffect, useRef, useState } from "preact/hooks";
import { command, me, query, state } from "../api";
import { Choice, Field } from "../parts/field";
import { Hold } from "../parts/hold";
import { Card, Fault, useTask } from "../parts/small";
import type { Role, User } from "../types";
import { t } from "../words";

const ROLES: Role[] = ["administrator", "operator", "readonly"];
const NOBODY: User = {
  name: "",
  role: "operator",
  keys: [],
  has_password: false,
  consoles: ["*"],
  outlets: ["*"],
  machines: ["*"],
  forward: true,
  in_file: true,
};

const words = (text: string) => text.split(/\s+/).filter(Boolean);

function Form({ user, fresh, done }: { user: User; fresh: boolean; done: () => void }) {
  const [fault, running, run] = useTask();
  const [name, setName] = useState(user.name);
  const [role, setRole] = useState<Role>(user.role);
  const [password, setPassword] = useState("");
  const [keys, setKeys] = useState(user.keys.join("\n"));
  const [consoles, setConsoles] = useState(user.consoles.join(" "));
  const [outlets, setOutlets] = useState(user.outlets.join(" "));
  const [machines, setMachines] = useState(user.machines.join(" "));
  const [forward, setForward] = useState(user.forward);
  const send = () =>
    run(async () => {
      const lines = keys
        .split("\n")
        .map((line) => line.trim())
        .filter(Boolean);
      const other = (now: string[], old: string[]) => (fresh || now.join("\n") !== old.join("\n") ? now : null);
      const said = {
        name,
        role: fresh || role !== user.role ? role : null,
        password: password || null,
        keys: fresh && !lines.length ? null : other(lines, user.keys),
        consoles: other(words(consoles), user.consoles),
        outlets: other(words(outlets), user.outlets),
        machines: other(words(machines), user.machines),
        // A readonly user may not have it at all.
        forward:
          role === "readonly"
            ? user.forward && !fresh
              ? false
              : null
            : fresh || forward !== user.forward
              ? forward
              : null,
      };
      await command(fresh ? { AddUser: { user: said } } : { ChangeUser: { user: said } });
      done();
    });
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        send();
      }}
    >
      <h2>{fresh ? t("addUser") : user.name}</h2>
      {fresh ? (
        <Field
          label={t("name")}
          value={name}
          set={setName}
          required
          autocapitalize="none"
          autocomplete="off"
          spellcheck={false}
        />
      ) : null}
      <Choice label={t("role")} value={role} set={(word) => setRole(word as Role)}>
        {ROLES.map((one) => (
          <option key={one} value={one}>
            {t(one)}
          </option>
        ))}
      </Choice>
      <Field
        label={t("userPassword")}
        type="password"
        autocomplete="new-password"
        hint={fresh ? undefined : t("userPasswordKept")}
        minLength={10}
        value={password}
        set={setPassword}
      />
      <label>
        {t("userKeys")}
        <textarea rows={3} wrap="off" spellcheck={false} value={keys} onInput={(e) => setKeys(e.currentTarget.value)} />
      </label>
      <div class="thirds">
        <Field label={t("userConsoles")} value={consoles} set={setConsoles} autocapitalize="none" spellcheck={false} />
        <Field label={t("userOutlets")} value={outlets} set={setOutlets} autocapitalize="none" spellcheck={false} />
        <Field label={t("userMachines")} value={machines} set={setMachines} autocapitalize="none" spellcheck={false} />
      </div>
      <small>{t("globs")}</small>
      {role === "readonly" ? null : (
        <label class="check">
          <input type="checkbox" checked={forward} onChange={(e) => setForward(e.currentTarget.checked)} />
          {t("userForward")}
        </label>
      )}
      <Fault text={fault} />
      <div class="row end">
        <button type="button" onClick={done}>
          {t("cancel")}
        </button>
        <button type="submit" class="main" disabled={running}>
          {t("save")}
        </button>
      </div>
    </form>
  );
}

export function UsersPage() {
  const [fault, running, run] = useTask();
  const [users, setUsers] = useState<User[] | null>(null);
  const [edited, setEdited] = useState<{ user: User; fresh: boolean } | null>(null);
  const dialog = useRef<HTMLDialogElement>(null);
  const read = async () => {
    const { Users } = (await query("ListUsers")) as { Users: User[] };
    setUsers(Users);
  };
  const trial = state.value?.config_trial?.since;
  useEffect(() => {
    // Again when a change comes, is kept or comes undone.
    run(read);
  }, [trial]);
  useEffect(() => {
    if (edited) dialog.current?.showModal();
    else dialog.current?.close();
  }, [edited]);
  const grants = (list: string[]) => list.join(" ") || t("none");
  return (
    <Card
      title={t("users")}
      extra={
        <button type="button" disabled={running} onClick={() => setEdited({ user: NOBODY, fresh: true })}>
          {t("addUser")}
        </button>
      }
    >
      <Fault text={fault} />
      <ul class="sessions users">
        {users?.map((user) => (
          <li key={user.name} class="row spread">
            <div>
              <p>
                <strong>{user.name}</strong> · {t(user.role)}
                {user.name === me.value?.user ? ` (${t("you")})` : ""}
              </p>
              <small>
                {[
                  user.has_password ? t("withPassword") : "",
                  user.keys.length ? t("nKeys", { n: user.keys.length }) : "",
                ]
                  .filter(Boolean)
                  .join(", ")}
                {" · "}
                {user.in_file
                  ? t("grants", {
                      consoles: grants(user.consoles),
                      outlets: grants(user.outlets),
                      machines: grants(user.machines),
                    })
                  : t("firstBootUser")}
              </small>
            </div>
            {user.in_file ? (
              <div class="row acts">
                <button
                  type="button"
                  aria-label={`${t("changeUser")} ${user.name}`}
                  onClick={() => setEdited({ user, fresh: false })}
                >
                  {t("changeUser")}
                </button>
                <Hold
                  verb={t("removeUser")}
                  name={user.name}
                  disabled={running}
                  act={() =>
                    run(async () => {
                      await command({ RemoveUser: { name: user.name } });
                      await read();
                    })
                  }
                />
              </div>
            ) : null}
          </li>
        ))}
      </ul>
      <dialog ref={dialog} class="broad" aria-label={t("users")} onClose={() => setEdited(null)}>
        {edited ? (
          <Form
            key={edited.user.name}
            {...edited}
            done={() => {
              setEdited(null);
              run(read);
            }}
          />
        ) : null}
      </dialog>
    </Card>
  );
}
