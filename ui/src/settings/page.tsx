// What an administrator sets: one chunk, fetched when it is first shown.
import { me } from "../api";
import { Icon } from "../parts/small";
import { Go } from "../route";
import { t } from "../words";
import { CertificatePage } from "./certificate";
import { ConfigPage } from "./config";
import "./settings.css";
import { UsersPage } from "./users";

const PAGES = { config: ConfigPage, users: UsersPage, certificate: CertificatePage } as const;

export default function Settings({ name }: { name: keyof typeof PAGES }) {
  const Page = PAGES[name];
  const may = me.value?.role === "administrator" || name === "certificate";
  return (
    <>
      <div class="row head">
        <Go to="/more" class="button" label={t("back")}>
          <Icon name="back" />
        </Go>
        <h1 tabIndex={-1}>{t(name)}</h1>
      </div>
      {may ? <Page /> : <p>{t("onlyAdministrators")}</p>}
    </>
  );
}
