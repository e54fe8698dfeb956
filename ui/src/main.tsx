// The page from the first request on: who is signed in decides what is shown.
import { render } from "preact";
import { me, whoAmI } from "./api";
import { App } from "./app";
import { begin } from "./live";
import "./pieces.css";
import "./style.css";

begin();
whoAmI().catch(() => {
  // No answer: the sign-in page says so when it is used.
  me.value = null;
});
const place = document.getElementById("page");
if (place) render(<App />, place);
