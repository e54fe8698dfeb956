// A part of the page that is fetched when it is first shown.
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { reason } from "../api";
import { t } from "../words";

export function later<P extends object>(fetch: () => Promise<{ default: ComponentType<P> }>) {
  let known: ComponentType<P> | null = null;
  return function Later(given: P) {
    const [Part, set] = useState<ComponentType<P> | null>(() => known);
    const [fault, setFault] = useState("");
    const get = () => {
      setFault("");
      fetch()
        .then((part) => {
          known = part.default;
          set(() => part.default);
        })
        .catch((thrown) => setFault(reason(thrown)));
    };
    useEffect(() => {
      if (!Part) get();
    }, []);
    if (Part) return <Part {...given} />;
    if (!fault) return <p class="wait">{t("loading")}</p>;
    return (
      <p class="wait" role="alert">
        {fault}{" "}
        <button type="button" onClick={() => location.reload()}>
          {t("retry")}
        </button>
      </p>
    );
  };
}
