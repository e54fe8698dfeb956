// The power of one outlet or machine: how it stands, what may be asked, what came of it.
import { useState } from "preact/hooks";
import { mayChange, switchMachine, switchOutlet } from "../api";
import type { Action, Machine, Outlet, PowerState, Verb } from "../types";
import { age, ageMillis, span, t } from "../words";
import { Hold } from "./hold";
import { Fault, Mark, type Tone, useTask, useTick } from "./small";

const TONES: Record<PowerState, Tone> = { On: "good", Off: "idle", Unknown: "warn" };
const STATES = { On: "on", Off: "off", Unknown: "unknown" } as const;

export const verbWord = (verb: Verb) => t(`verb${verb}`);

export function Standing({ is, moving }: { is: PowerState; moving: boolean }) {
  return (
    <span class="standing">
      <Mark tone={moving ? "warn" : TONES[is]} />
      {t(STATES[is])}
      {moving ? "…" : ""}
    </span>
  );
}

/** What came of a verb, as one sentence. */
export function outcome(action: Action): { tone: Tone; text: string } {
  const verb = verbWord(action.verb);
  if (action.outcome === "running") {
    return { tone: "warn", text: t("pending", { verb, age: span(Math.round(ageMillis(action.began) / 1000) * 1000) }) };
  }
  const words = {
    confirmed: ["good", "outcomeConfirmed"],
    unconfirmed: ["warn", "outcomeUnconfirmed"],
    failed: ["bad", "outcomeFailed"],
  } as const;
  const [tone, word] = words[action.outcome];
  const text = t(word, { verb, age: span(action.millis) });
  return { tone, text: action.why ? `${text}: ${action.why}` : text };
}

function Came({ action }: { action: Action }) {
  const { tone, text } = outcome(action);
  return (
    <p class="came" role="status">
      <Mark tone={tone} />
      <span>
        {text} <small>{t("by", { who: action.by, age: age(action.began) })}</small>
      </span>
    </p>
  );
}

interface Props {
  name: string;
  is: PowerState;
  moving: boolean;
  verbs: Verb[];
  action: Action | null;
  feeds: string[];
  ask: (verb: Verb) => Promise<unknown>;
}

/** Buttons wait from the press until the verb was read back. */
function Verbs({ name, is, moving, verbs, action, feeds, ask }: Props) {
  const [fault, sending, run] = useTask();
  const [asked, setAsked] = useState<Verb | null>(null);
  const [awaited, setAwaited] = useState(0);
  // The state that is shown may be older than the answer.
  const waiting = sending || awaited > (action?.id ?? 0);
  const running = moving || waiting || action?.outcome === "running";
  useTick(running);
  const about = feeds.length ? t("sureFeeds", { what: feeds.join(", ") }) : undefined;
  const act = (verb: Verb) => {
    setAsked(verb);
    run(async () => {
      const reply = (await ask(verb)) as { Started?: { action: number } };
      setAwaited(reply.Started?.action ?? 0);
    });
  };
  return (
    <>
      {mayChange() ? (
        <div class="row verbs">
          {verbs.map((verb) =>
            verb === "On" ? (
              <button
                type="button"
                key={verb}
                class={is === "Off" ? "main" : ""}
                disabled={running || is === "On"}
                onClick={() => act(verb)}
              >
                {verbWord(verb)}
              </button>
            ) : (
              <Hold
                key={verb}
                verb={verbWord(verb)}
                name={name}
                about={about}
                disabled={running}
                act={() => act(verb)}
              />
            ),
          )}
        </div>
      ) : null}
      {waiting && asked ? (
        <p class="came" role="status">
          <Mark tone="warn" />
          <span>{t("pending", { verb: verbWord(asked), age: "" })}</span>
        </p>
      ) : action ? (
        <Came action={action} />
      ) : null}
      <Fault text={fault} />
    </>
  );
}

const OUTLET_VERBS: Verb[] = ["On", "PowerCycle", "ForceOff"];

export function OutletPower({ pdu, outlet }: { pdu: string; outlet: Outlet }) {
  const name = `${pdu}/${outlet.key}`;
  return (
    <article class="target" aria-label={name}>
      <div class="row spread">
        <h3>
          {outlet.label && outlet.label !== outlet.key ? outlet.label : name}
          {outlet.label && outlet.label !== outlet.key ? <small>{name}</small> : null}
        </h3>
        <Standing is={outlet.state} moving={outlet.in_transition} />
      </div>
      {outlet.feeds.length || outlet.watts !== null ? (
        <p class="quiet">
          {[
            outlet.feeds.length ? t("feeds", { what: outlet.feeds.join(", ") }) : "",
            outlet.watts !== null ? `${outlet.watts} W` : "",
          ]
            .filter(Boolean)
            .join(" · ")}
        </p>
      ) : null}
      <Verbs
        name={name}
        is={outlet.state}
        moving={outlet.in_transition}
        verbs={OUTLET_VERBS}
        action={outlet.action}
        feeds={outlet.feeds}
        ask={(verb) => switchOutlet(pdu, outlet.key, verb)}
      />
    </article>
  );
}

export function MachinePower({ machine }: { machine: Machine }) {
  return (
    <Verbs
      name={machine.name}
      is={machine.state}
      moving={machine.in_transition}
      verbs={machine.verbs}
      action={machine.action}
      feeds={[]}
      ask={(verb) => switchMachine(machine.name, verb)}
    />
  );
}
