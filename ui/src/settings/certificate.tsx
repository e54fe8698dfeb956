// The certificate of this door: what it says, another one, or a request for one.
import { useEffect, useState } from "preact/hooks";
import { me, query } from "../api";
import { Field } from "../parts/field";
import { Hold } from "../parts/hold";
import { Card, Fault, Mark, useTask } from "../parts/small";
import type { Certificate } from "../types";
import { language, t } from "../words";

const ORIGINS = { own: "originOwn", installed: "originInstalled", "oobd.toml": "originFile" } as const;

const day = (at: string) => new Date(at).toLocaleDateString(language.value, { dateStyle: "long", timeZone: "UTC" });

function Facts({ one }: { one: Certificate }) {
  const facts: [string, string][] = [
    [t("origin"), t(ORIGINS[one.origin])],
    [t("subject"), one.subject.replace(/^CN=/, "")],
    [t("issuer"), one.issuer.replace(/^CN=/, "")],
    [t("validFrom"), day(one.not_before)],
    [t("validTo"), day(one.not_after)],
  ];
  return (
    <>
      <dl class="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
        <div class="long">
          <dt>{t("goodFor")}</dt>
          <dd>{one.names.join(", ") || t("none")}</dd>
        </div>
        <div class="long">
          <dt>{t("print")}</dt>
          <dd class="print">{one.fingerprint}</dd>
        </div>
      </dl>
      {one.remarks.map((remark) => (
        <p class="well" key={remark}>
          <Mark tone="warn" />
          <span>{remark}</span>
        </p>
      ))}
    </>
  );
}

function Pem({ label, set, required }: { label: string; set: (text: string) => void; required?: boolean }) {
  return (
    <label>
      {label}
      <input
        type="file"
        accept=".pem,.crt,.cer,.key,text/plain"
        required={required}
        onChange={async (e) => {
          const file = e.currentTarget.files?.[0];
          set(file ? await file.text() : "");
        }}
      />
    </label>
  );
}

export function CertificatePage() {
  const [fault, running, run] = useTask();
  const [refused, sending, send] = useTask();
  const [one, setOne] = useState<Certificate | null>(null);
  const [certificate, setCertificate] = useState("");
  const [key, setKey] = useState("");
  const [names, setNames] = useState(location.hostname);
  const [request, setRequest] = useState("");
  const [done, setDone] = useState("");
  const take = async (given: unknown) => {
    const { Certificate } = (await query(given)) as { Certificate: Certificate };
    setOne(Certificate);
  };
  useEffect(() => {
    run(() => take("ShowCertificate"));
  }, []);
  const may = me.value?.role === "administrator" && one !== null && one.origin !== "oobd.toml";
  return (
    <div class="columns">
      <div>
        <Card title={t("certificate")}>
          <Fault text={fault} />
          {one ? <Facts one={one} /> : null}
          {may && one.origin === "installed" ? (
            <div class="row">
              <Hold
                verb={t("removeCertificate")}
                name=""
                disabled={running}
                act={() => run(() => take("RemoveCertificate"))}
              />
            </div>
          ) : null}
        </Card>
      </div>
      {may ? (
        <div>
          <Card title={t("installCertificate")}>
            <form
              class="fields"
              onSubmit={(e) => {
                e.preventDefault();
                setDone("");
                send(async () => {
                  await take({ InstallCertificate: { certificate, key: key || null } });
                  setDone(t("installed"));
                });
              }}
            >
              <Pem label={t("pemCertificate")} set={setCertificate} required />
              <Pem label={t("pemKey")} set={setKey} />
              <Fault text={refused} />
              {done ? (
                <p class="came" role="status">
                  <Mark tone="good" /> {done}
                </p>
              ) : null}
              <button type="submit" class="main" disabled={sending}>
                {t("install")}
              </button>
            </form>
          </Card>
          <Card title={t("requestCertificate")}>
            <form
              class="fields"
              onSubmit={(e) => {
                e.preventDefault();
                send(async () => {
                  const given = { RequestCertificate: { names: names.split(/[\s,]+/).filter(Boolean) } };
                  const { CertificateRequest } = (await query(given)) as { CertificateRequest: { pem: string } };
                  setRequest(CertificateRequest.pem);
                });
              }}
            >
              <p class="quiet">{t("requestAbout")}</p>
              <Field
                label={t("requestNames")}
                value={names}
                set={setNames}
                required
                autocapitalize="none"
                spellcheck={false}
              />
              <button type="submit" disabled={sending}>
                {t("makeRequest")}
              </button>
              {request ? (
                <label>
                  {t("request")}
                  <textarea readOnly rows={8} wrap="off" value={request} />
                </label>
              ) : null}
            </form>
          </Card>
        </div>
      ) : null}
    </div>
  );
}
