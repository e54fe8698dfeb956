// Which page is shown: the path of the address, one signal.
import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";

export const path = signal(location.pathname);

addEventListener("popstate", () => {
  path.value = location.pathname;
});

export function go(to: string) {
  if (to === path.value) return;
  history.pushState(null, "", to);
  path.value = to;
  scrollTo(0, 0);
  // Who does not see the page hears that there is another one.
  requestAnimationFrame(() => document.querySelector<HTMLElement>("main h1")?.focus());
}

interface Props {
  to: string;
  class?: string;
  label?: string;
  current?: boolean;
  children: ComponentChildren;
}

export function Go({ to, label, current, children, ...rest }: Props) {
  return (
    <a
      href={to}
      aria-label={label}
      aria-current={current ? "page" : undefined}
      {...rest}
      onClick={(e) => {
        if (e.ctrlKey || e.metaKey || e.shiftKey) return;
        e.preventDefault();
        go(to);
      }}
    >
      {children}
    </a>
  );
}
