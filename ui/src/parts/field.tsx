// A labelled field of a form.
import type { ComponentChildren } from "preact";

interface Props {
  label: string;
  value: string | undefined;
  name?: string;
  type?: "text" | "password";
  required?: boolean;
  minLength?: number;
  autocomplete?: "username" | "current-password" | "new-password" | "off";
  autocapitalize?: "none";
  spellcheck?: boolean;
  /** What to know before typing. */
  hint?: string;
  set: (value: string) => void;
}

export function Field({ label, hint, set, ...given }: Props) {
  return (
    <label>
      {label}
      {/* The types of an input's kinds exclude each other. */}
      <input {...(given as object)} onInput={(e) => set(e.currentTarget.value)} />
      {hint ? <small>{hint}</small> : null}
    </label>
  );
}

export function Choice({
  label,
  value,
  set,
  children,
}: {
  label: string;
  value: string;
  set: (value: string) => void;
  children: ComponentChildren;
}) {
  return (
    <label>
      {label}
      <select value={value} onChange={(e) => set(e.currentTarget.value)}>
        {children}
      </select>
    </label>
  );
}
