// xterm.js writes its sizes and colours into <style> elements and style attributes, which the board's
// Content-Security-Policy rightly refuses. It may be given a document of its own: this one hands it sheets that are
// adopted instead, and sets attributes by CSSOM; neither is inline style.

function sheet(): HTMLElement {
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  const place = create("div");
  place.hidden = true;
  Object.defineProperty(place, "textContent", {
    get: () => "",
    set: (text: string) => sheet.replaceSync(text),
  });
  place.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== sheet);
    Element.prototype.remove.call(place);
  };
  return place;
}

function setAttribute(this: HTMLElement, name: string, value: string) {
  if (name === "style") this.style.cssText = value;
  else Element.prototype.setAttribute.call(this, name, value);
}

const create = (tag: string, options?: ElementCreationOptions): HTMLElement =>
  Document.prototype.createElement.call(document, tag, options);

function createElement(tag: string, options?: ElementCreationOptions): HTMLElement {
  if (tag === "style") return sheet();
  const made = create(tag, options);
  if (tag === "span") made.setAttribute = setAttribute;
  return made;
}

export const adopting = new Proxy(document, {
  get(target, name) {
    if (name === "createElement") return createElement;
    const value = Reflect.get(target, name, target);
    return typeof value === "function" ? value.bind(target) : value;
  },
});

/** What is opened within `work` takes the page's own document in one place whatever it is given (xterm.js 6.0, Viewport). */
export function adopted(work: () => void) {
  document.createElement = createElement as typeof document.createElement;
  try {
    work();
  } finally {
    Reflect.deleteProperty(document, "createElement");
  }
}
