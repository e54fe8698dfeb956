// What the board says: the parts of /api/state and /api/events that the page shows. Names are the board's own.

export type Internet = "unknown" | "yes" | "no";
export type UplinkPhase = "off" | "absent" | "searching" | "associating" | "leasing" | "up" | "failed";
export type DevicePhase = "unknown" | "up" | "silent" | "refused";
export type PowerState = "On" | "Off" | "Unknown";
export type Verb = "On" | "ForceOff" | "GracefulShutdown" | "ForceRestart" | "GracefulRestart" | "PowerCycle" | "Nmi";
export type Severity = "emergency" | "alert" | "critical" | "error" | "warning" | "notice" | "info" | "debug";

/** A place of the state and what stands there now; without a value it is gone. */
export interface Change {
  path: string[];
  value?: unknown;
}

export interface Link {
  interface: string;
  role: "lan" | "unused" | { uplink: string };
  mac: string;
  carrier: boolean;
  addresses: string[];
  gateways: string[];
}

export interface Uplink {
  name: string;
  kind: string;
  interface: string;
  phase: UplinkPhase;
  since: string;
  why: string;
  ssid: string | null;
  signal_dbm: number | null;
  security: string | null;
  address: string | null;
  internet: Internet;
}

/** One access point that the radio of an uplink hears. */
export interface Network {
  ssid: string;
  bssid: string;
  signal_dbm: number;
  frequency_mhz: number;
  security: string;
  age_seconds: number;
  known: boolean;
  joined: boolean;
  fault: string | null;
}

/** Series that end at one moment, with one pace. */
export interface Past {
  at: string | null;
  every_seconds: number;
  series: Series[];
}

export interface Series {
  name: string;
  unit: string;
  values: (number | null)[];
  total: number | null;
}

export interface ConsoleSession {
  id: number;
  user: string;
  from: string;
  writer: boolean;
  since: string;
}

export interface Console {
  name: string;
  port: string;
  line: string;
  phase: "open" | "gone" | "failed";
  since: string;
  why: string;
  sessions: ConsoleSession[];
  last_line: string;
  number: number;
  device: string | null;
  outlets: string[];
}

export interface Action {
  id: number;
  verb: Verb;
  by: string;
  began: string;
  outcome: "running" | "confirmed" | "unconfirmed" | "failed";
  millis: number;
  why: string;
}

export interface Outlet {
  key: string;
  label: string;
  state: PowerState;
  in_transition: boolean;
  watts: number | null;
  feeds: string[];
  action: Action | null;
}

interface Device {
  name: string;
  phase: DevicePhase;
  since: string;
  why: string;
  read_at: string | null;
}

export interface Pdu extends Device {
  kind: string;
  outlets: Outlet[];
}

export interface Ups extends Device {
  status: string[];
  charge: number | null;
  runtime: number | null;
  load: number | null;
}

export interface Sensor {
  name: string;
  kind: string;
  value: number | null;
  unit: string;
  health: "ok" | "warning" | "critical" | "unknown";
  text: string;
}

export interface Machine extends Device {
  methods: string[];
  state: PowerState;
  in_transition: boolean;
  verbs: Verb[];
  outlets: string[];
  model: string;
  action: Action | null;
  sensors: Sensor[];
}

export interface State {
  device: string;
  version: string;
  started_at: string;
  mode: string;
  oob: boolean;
  config_problems: string[];
  links: Record<string, Link>;
  uplinks: Record<string, Uplink>;
  consoles: Record<string, Console>;
  guard: { sealed: boolean | null; checked_at: string | null; open: string[] };
  doors: Record<string, { name: string; address: string; fingerprint: string | null }>;
  owners: Record<string, { name: string; phase: string; last_fault: string | null }>;
  pdus: Record<string, Pdu>;
  upses: Record<string, Ups>;
  machines: Record<string, Machine>;
  config_trial: ConfigTrial | null;
  alarms: Record<string, Alarm>;
}

export interface BoardEvent {
  seq: number;
  at: string;
  severity: Severity;
  source: string;
  text: string;
  kind: string | { EventAcknowledged?: { event: number; by: string; note: string } };
}

/** Who has seen an event. */
export interface Acknowledged {
  by: string;
  at: string;
  note: string;
}

export interface Alarm {
  event: Omit<BoardEvent, "text">;
  text: string;
  acknowledged: Acknowledged | null;
}

export interface Me {
  session: number;
  user: string;
  role: "administrator" | "operator" | "readonly";
  must_change_password: boolean;
}

export interface SignedIn {
  id: number;
  user: string;
  from: string;
  since: string;
  idle_seconds: number;
}

export interface ConfigTrial {
  by: string;
  since: string;
  until: string;
}

export interface Problem {
  place: { line: number; column: number } | null;
  path: string;
  message: string;
  hint: string | null;
}

export type Trial = "AsNeeded" | "No" | { Within: number };

export interface ConfigApplied {
  hash: string;
  restarted: string[];
  confirm_within: number | null;
}

export type Role = "administrator" | "operator" | "readonly";

export interface User {
  name: string;
  role: Role;
  keys: string[];
  has_password: boolean;
  consoles: string[];
  outlets: string[];
  machines: string[];
  forward: boolean;
  in_file: boolean;
}

export interface Certificate {
  origin: "own" | "installed" | "oobd.toml";
  fingerprint: string;
  subject: string;
  issuer: string;
  names: string[];
  not_before: string;
  not_after: string;
  chain: number;
  remarks: string[];
}
