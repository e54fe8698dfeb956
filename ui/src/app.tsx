// The frame around every page, and which page is in it.
import type { VNode } from "preact";
import { me, state } from "./api";
import { events } from "./live";
import { Events } from "./pages/events";
import { More } from "./pages/more";
import { Now } from "./pages/now";
import { ChoosePassword, SignIn } from "./pages/sign_in";
import { ConsolePage, MachinePage, MachineScreen, PduPage, Targets } from "./pages/targets";
import { Uplinks } from "./pages/uplinks";
import { later } from "./parts/later";
import { Icon } from "./parts/small";
import { Strip } from "./parts/strip";
import { TrialBar } from "./parts/trial";
import { Go, path } from "./route";
import { t } from "./words";

const BAR = [
  ["/", "now"],
  ["/targets", "targets"],
  ["/events", "events"],
  ["/uplinks", "uplinks"],
  ["/more", "more"],
] as const;

const Settings = later(() => import("./settings/page"));

/** Pages of one target belong to the list they are reached from. */
const UNDER_TARGETS = ["console", "machine", "pdu"];

function page(parts: string[]): VNode {
  const [first, name, sub] = parts;
  switch (first) {
    case undefined:
      return <Now />;
    case "targets":
      return <Targets />;
    case "console":
      return <ConsolePage key={name} name={name ?? ""} />;
    case "machine":
      return sub === "screen" ? (
        <MachineScreen key={name} name={name ?? ""} />
      ) : (
        <MachinePage key={name} name={name ?? ""} />
      );
    case "pdu":
      return <PduPage key={name} name={name ?? ""} />;
    case "events":
      return <Events />;
    case "uplinks":
      return <Uplinks />;
    case "more":
      if (name === "config" || name === "users" || name === "certificate") return <Settings key={name} name={name} />;
      return <More />;
    default:
      return (
        <>
          <h1 tabIndex={-1}>{t("notFound")}</h1>
          <p>
            <Go to="/">{t("now")}</Go>
          </p>
        </>
      );
  }
}

/** The newest event that matters, read aloud once. */
function Announcer() {
  const newest = events.value[0];
  const loud = newest && ["emergency", "alert", "critical", "error", "warning"].includes(newest.severity);
  return (
    <div class="unseen" aria-live="polite">
      {loud ? newest.text : ""}
    </div>
  );
}

export function App() {
  const who = me.value;
  if (who === undefined) return <p class="wait">{t("loading")}</p>;
  if (who === null) return <SignIn />;
  if (who.must_change_password) return <ChoosePassword />;
  const parts = path.value.split("/").filter(Boolean).map(decodeURIComponent);
  const wide = parts[0] === "console" || parts[2] === "screen";
  const here = (to: string) =>
    to === "/targets" && UNDER_TARGETS.includes(parts[0] ?? "") ? true : (parts[0] ?? "") === to.slice(1);
  document.title = [parts[1] ?? "", state.value?.device ?? "oobd"].filter(Boolean).join(" · ");
  return (
    <div class={wide ? "frame wide" : "frame"}>
      <a class="skip" href="#main">
        {t("skip")}
      </a>
      <header class="top">
        <Strip />
        <TrialBar />
      </header>
      <nav aria-label={t("pages")}>
        {BAR.map(([to, word]) => (
          <Go key={to} to={to} current={here(to)}>
            <Icon name={word} />
            <span>{t(word)}</span>
          </Go>
        ))}
      </nav>
      <main id="main" tabIndex={-1}>
        {state.value ? page(parts) : <p class="wait">{t("loading")}</p>}
      </main>
      <Announcer />
    </div>
  );
}
