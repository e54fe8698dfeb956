// oobd.toml as text: checked by the board while it is typed, shown as a diff before it is applied.
import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { ask, command, query } from "../api";
import { Choice } from "../parts/field";
import { save } from "../parts/save";
import { Card, Fault, Mark, useTask } from "../parts/small";
import type { ConfigApplied, Problem, Trial } from "../types";
import { span, t } from "../words";
import { diff } from "./diff";

interface Text {
  text: string;
  hash: string;
}

/** What the board has, and what is made of it: kept while other pages are looked at. */
const board = signal<Text | null>(null);
const draft = signal("");

const PAUSE = 400;
const WAITS = [60, 300, 1800];

async function read(): Promise<Text> {
  const { Config } = (await query("GetConfig")) as { Config: Text };
  return Config;
}

/** The board's verdict on a text, some time after the last key. */
function useCheck(text: string, active: boolean): [Problem[] | null, string] {
  const [problems, setProblems] = useState<Problem[] | null>(null);
  const [fault, setFault] = useState("");
  useEffect(() => {
    setProblems(null);
    if (!active) return;
    let stale = false;
    const timer = setTimeout(async () => {
      try {
        const said = await ask<{ problems: Problem[] }>("POST", "/api/config/check", { text });
        if (stale) return;
        setProblems(said.problems);
        setFault("");
      } catch (thrown) {
        if (!stale) setFault(thrown instanceof Error ? thrown.message : String(thrown));
      }
    }, PAUSE);
    return () => {
      stale = true;
      clearTimeout(timer);
    };
  }, [text, active]);
  return [problems, fault];
}

function told(problem: Problem): string {
  const path = problem.path ? `${problem.path}: ` : "";
  return `${path}${problem.message}${problem.hint ? ` (${problem.hint})` : ""}`;
}

function Editor({ problems }: { problems: Problem[] }) {
  const area = useRef<HTMLTextAreaElement>(null);
  const gutter = useRef<HTMLDivElement>(null);
  const bad = new Set(problems.map((problem) => problem.place?.line));
  const lines = draft.value.split("\n");
  const jump = (line: number, column: number) => {
    const field = area.current;
    if (!field) return;
    const start = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
    const text = lines[line - 1] ?? "";
    field.focus();
    field.setSelectionRange(start + [...text].slice(0, column - 1).join("").length, start + text.length);
    field.scrollTop = (field.scrollHeight / lines.length) * Math.max(0, line - 4);
    field.scrollLeft = 0;
  };
  return (
    <>
      <div class="editor">
        <div class="gutter" ref={gutter} aria-hidden="true">
          {lines.map((_, at) => (
            <span key={at} class={bad.has(at + 1) ? "bad" : undefined}>
              {at + 1}
            </span>
          ))}
        </div>
        <textarea
          ref={area}
          wrap="off"
          spellcheck={false}
          autocapitalize="none"
          autocomplete="off"
          aria-label={t("configText")}
          aria-invalid={problems.length > 0}
          aria-describedby="verdict"
          value={draft.value}
          onInput={(e) => {
            draft.value = e.currentTarget.value;
          }}
          onScroll={(e) => {
            if (gutter.current) gutter.current.scrollTop = e.currentTarget.scrollTop;
          }}
        />
      </div>
      {problems.length ? (
        <ul class="rows problems">
          {problems.map((problem, at) => {
            const place = problem.place;
            return (
              <li key={at}>
                {place ? (
                  <button type="button" onClick={() => jump(place.line, place.column)}>
                    {t("atLine", { line: place.line })}
                  </button>
                ) : null}
                <span>{told(problem)}</span>
              </li>
            );
          })}
        </ul>
      ) : null}
    </>
  );
}

function Diff({ before, after }: { before: string; after: string }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: who has no mouse scrolls it by keys
    <section class="diff" tabIndex={0} aria-label={t("changes")}>
      {diff(before, after).map((line, at) => (
        <code key={at} class={line?.mark === "+" ? "came-in" : line?.mark === "-" ? "went-out" : undefined}>
          {line ? `${line.mark} ${line.text}` : "⋯"}
        </code>
      ))}
    </section>
  );
}

function trialOf(word: string): Trial {
  const seconds = Number(word);
  return seconds ? { Within: seconds } : word === "No" ? "No" : "AsNeeded";
}

export function ConfigPage() {
  const [fault, running, run] = useTask();
  const [done, setDone] = useState("");
  const [wait, setWait] = useState("AsNeeded");
  const review = useRef<HTMLDialogElement>(null);
  const back = useRef<HTMLDialogElement>(null);
  const now = board.value;
  const dirty = now !== null && draft.value !== now.text;
  const [problems, unchecked] = useCheck(draft.value, dirty);
  const reread = async (keep: boolean) => {
    const fresh = await read();
    if (!keep) draft.value = fresh.text;
    board.value = fresh;
  };
  useEffect(() => {
    // What was typed before another page was looked at stays.
    run(() => reread(dirty));
  }, []);
  const say = ({ ConfigApplied }: { ConfigApplied: ConfigApplied }) => {
    const names = ConfigApplied.restarted.join(", ");
    setDone(names ? t("applied", { names }) : t("appliedQuietly"));
  };
  const apply = () =>
    run(async () => {
      const text = draft.value;
      try {
        const trial = trialOf(wait);
        say(
          (await command({ ApplyConfig: { text, base: now?.hash ?? "", trial } })) as { ConfigApplied: ConfigApplied },
        );
      } finally {
        // Also where somebody else was faster: the diff is against theirs from now on.
        await reread(true).catch(() => {});
      }
    });
  if (!now) return <Fault text={fault} />;
  return (
    <Card
      title={t("configText")}
      extra={
        <span class="standing" id="verdict" role="status">
          {!dirty ? (
            t("unchanged")
          ) : problems === null ? (
            t("checking")
          ) : (
            <>
              <Mark tone={problems.length ? "bad" : "good"} />
              {problems.length ? t("problems", { n: problems.length }) : t("nothingWrong")}
            </>
          )}
        </span>
      }
    >
      <Editor problems={problems ?? []} />
      <Fault text={fault || unchecked} />
      {done ? (
        <p class="came" role="status">
          <Mark tone="good" /> {done}
        </p>
      ) : null}
      <div class="row">
        <button
          type="button"
          class="main"
          disabled={running || !dirty || problems === null || problems.length > 0}
          onClick={() => {
            setDone("");
            review.current?.showModal();
          }}
        >
          {t("review")}
        </button>
        <button
          type="button"
          disabled={running || !dirty}
          onClick={() => {
            draft.value = now.text;
          }}
        >
          {t("discard")}
        </button>
      </div>
      <div class="row">
        <label class="button">
          {t("upload")}
          <input
            type="file"
            class="unseen"
            accept=".toml,text/plain"
            onChange={async (e) => {
              const file = e.currentTarget.files?.[0];
              e.currentTarget.value = "";
              if (file) draft.value = await file.text();
            }}
          />
        </label>
        <button type="button" onClick={() => save("oobd.toml", "application/toml", draft.value)}>
          {t("download")}
        </button>
        <button type="button" disabled={running || dirty} onClick={() => back.current?.showModal()}>
          {t("rollback")}
        </button>
      </div>
      <dialog ref={review} class="broad" aria-label={t("changes")}>
        <form
          method="dialog"
          onSubmit={() => {
            apply();
          }}
        >
          <h2>{t("changes")}</h2>
          <Diff before={now.text} after={draft.value} />
          <Choice label={t("ifNobody")} value={wait} set={setWait}>
            <option value="AsNeeded">{t("asNeeded")}</option>
            {WAITS.map((seconds) => (
              <option key={seconds} value={String(seconds)}>
                {t("undoAfter", { age: span(seconds * 1000) })}
              </option>
            ))}
            <option value="No">{t("keepIt")}</option>
          </Choice>
          <div class="row end">
            <button type="button" onClick={() => review.current?.close()}>
              {t("cancel")}
            </button>
            <button type="submit" class="main">
              {t("apply")}
            </button>
          </div>
        </form>
      </dialog>
      <dialog ref={back} aria-label={t("rollbackSure")}>
        <form
          method="dialog"
          onSubmit={() => {
            run(async () => {
              say((await command("RollbackConfig")) as { ConfigApplied: ConfigApplied });
              await reread(false);
            });
          }}
        >
          <p>
            <strong>{t("rollbackSure")}</strong>
          </p>
          <div class="row end">
            <button type="button" onClick={() => back.current?.close()}>
              {t("cancel")}
            </button>
            <button type="submit" class="danger">
              {t("doIt", { verb: t("apply") })}
            </button>
          </div>
        </form>
      </dialog>
    </Card>
  );
}
