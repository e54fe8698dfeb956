//! SNMP in four calls, and all that this house knows of the crate behind them: get, walk, set, each bounded in time and size,
//! one request in flight. Knows no outlet.

use std::future::Future;
use std::io::ErrorKind;
use std::time::Duration;

use async_snmp::v3::ReportStatus;
use async_snmp::{
    Auth, AuthProtocol, Client, ClientBuilder, Error, ErrorStatus, MasterKeys, Oid, PrivProtocol,
    Retry, UsmConfig, Value, VarBind,
};
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use super::lan::Lan;
use crate::config::{ObjectId, Snmp, SnmpAccess, SnmpAuth, SnmpPrivacy};
use crate::power::driver::Fault;

/// Until a question is asked again. Cards are slow: some take a second for a dozen values.
const PATIENCE: Duration = Duration::from_secs(3);
/// Times that one question is asked.
const TRIES: usize = 3;
/// Values that one question asks for.
const MOST_VALUES: usize = 16;
/// Steps of a GETBULK.
const REPETITIONS: u32 = 16;

/// What stood at one object.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found {
    Number(i64),
    Text(String),
    Id(Vec<u32>),
    /// The device has no such object, or something in it that nobody here asks for.
    Nothing,
}

/// The conversation with one device.
pub(super) struct Wire {
    reader: Client<Lan>,
    /// Another one where another community writes.
    writer: Client<Lan>,
    target: String,
    /// Values that the device answers in time.
    batch: usize,
    v1: bool,
}

impl Wire {
    /// Makes the keys; asks nothing.
    ///
    /// # Errors
    /// [`Fault::Refused`] for keys that cannot be made.
    pub(super) fn open(settings: &Snmp, interface: &str) -> Result<Self, Fault> {
        let target = settings.host;
        let lan = Lan::new(interface, target);
        let (read, write) = logins(&settings.access)
            .map_err(|why| Fault::Refused(format!("the keys for {target}: {why}")))?;
        let client = |auth: Auth| {
            let builder = ClientBuilder::new(auth)
                .request_timeout(PATIENCE)
                .exchange_timeout(Some(PATIENCE * 2))
                .retry(Retry::none())
                .max_oids_per_request(MOST_VALUES);
            let made = builder.build_with_transport(lan.clone());
            made.map_err(|error| Fault::Odd(format!("{target}: {error}")))
        };
        Ok(Self {
            reader: client(read)?,
            writer: client(write)?,
            target: target.to_string(),
            batch: MOST_VALUES,
            v1: matches!(settings.access, SnmpAccess::V1 { .. }),
        })
    }

    /// What stands at these objects, in their order.
    ///
    /// # Errors
    /// [`Fault`]
    pub(super) async fn get(&mut self, ids: &[ObjectId]) -> Result<Vec<Found>, Fault> {
        let mut found = Vec::with_capacity(ids.len());
        let mut rest = ids;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(self.batch.min(rest.len()));
            match self.get_some(now).await {
                // Too much at once for a slow card: ask for less from now on.
                Err(Fault::Silent(_)) if now.len() > 1 => self.batch = now.len().div_ceil(2),
                some => {
                    found.extend(some?);
                    rest = later;
                }
            }
        }
        Ok(found)
    }

    async fn get_some(&self, ids: &[ObjectId]) -> Result<Vec<Found>, Fault> {
        let mut missing = vec![false; ids.len()];
        loop {
            let asked: Vec<usize> = (0..ids.len())
                .filter(|place| missing.get(*place) == Some(&false))
                .collect();
            let oids: Vec<Oid> = asked
                .iter()
                .filter_map(|at| ids.get(*at))
                .map(oid)
                .collect();
            if oids.is_empty() {
                return Ok(vec![Found::Nothing; ids.len()]);
            }
            // A batch is asked once and then halved; what cannot be halved is asked again.
            let tries = if oids.len() > 1 { 1 } else { TRIES };
            let answer = self.repeat(tries, || self.reader.get_many(&oids)).await;
            let answer = match answer {
                Ok(answer) => answer.varbinds,
                Err(error) => match self.lacking(&error, &asked) {
                    Some(place) => {
                        if let Some(gone) = missing.get_mut(place) {
                            *gone = true;
                        }
                        continue;
                    }
                    None => return Err(self.fault(&error)),
                },
            };
            return Ok(arrange(ids, &answer));
        }
    }

    /// SNMPv1 answers for all that one object is not there (RFC 1157 §4.1.2): the place of that one.
    fn lacking(&self, error: &Error, asked: &[usize]) -> Option<usize> {
        let Error::Snmp { status, index, .. } = error.exchange_source() else {
            return None;
        };
        if !self.v1 || *status != ErrorStatus::NoSuchName {
            return None;
        }
        let place = usize::try_from(*index).ok()?.checked_sub(1)?;
        asked.get(place).copied()
    }

    /// All that stands below `column`, at most `most` of it, in the device's order.
    ///
    /// # Errors
    /// [`Fault`]; [`Fault::Odd`] for a device that goes backwards or has more.
    pub(super) async fn walk(
        &mut self,
        column: &ObjectId,
        most: usize,
    ) -> Result<Vec<(Vec<u32>, Found)>, Fault> {
        let mut rows: Vec<(Vec<u32>, Found)> = Vec::new();
        let mut last = oid(column);
        loop {
            let steps = if self.v1 || self.batch == 1 {
                1
            } else {
                REPETITIONS.min(u32::try_from(self.batch).unwrap_or(REPETITIONS))
            };
            let step = self.step(&last, steps).await;
            let answer = match step {
                Err(Fault::Silent(_)) if steps > 1 => {
                    self.batch = self.batch.div_ceil(2);
                    continue;
                }
                Err(Fault::NotPossible(_)) if self.v1 => return Ok(rows),
                answer => answer?,
            };
            if answer.is_empty() {
                return Ok(rows);
            }
            for bound in answer {
                let Some(index) = column.index(bound.oid.arcs()) else {
                    return Ok(rows);
                };
                if bound.value.is_exception() {
                    return Ok(rows);
                }
                if bound.oid <= last {
                    return Err(self.odd("its table goes backwards"));
                }
                if rows.len() == most {
                    return Err(self.odd(&format!("its table has more than {most} rows")));
                }
                rows.push((index.to_vec(), found(&bound.value)));
                last = bound.oid;
            }
        }
    }

    async fn step(&self, from: &Oid, steps: u32) -> Result<Vec<VarBind>, Fault> {
        let from = std::slice::from_ref(from);
        let answer = if steps == 1 {
            let next = self.repeat(TRIES, || self.reader.get_next_many(from)).await;
            next.map(|answer| answer.varbinds)
        } else {
            self.repeat(1, || self.reader.get_bulk(from, 0, steps))
                .await
        };
        answer.map_err(|error| self.fault(&error))
    }

    /// Writes one number. `again` says that asking twice does no more than asking once.
    ///
    /// # Errors
    /// [`Fault`]; after [`Fault::Silent`] it may have been done.
    pub(super) async fn set(
        &mut self,
        at: &ObjectId,
        value: i32,
        again: bool,
    ) -> Result<(), Fault> {
        let (at, tries) = (oid(at), if again { TRIES } else { 1 });
        let ask = || self.writer.set(&at, Value::Integer(value));
        let done = self.repeat(tries, ask).await;
        done.map(drop).map_err(|error| match self.fault(&error) {
            // Reading goes on: only this is not for us.
            Fault::Refused(_) if status(&error).is_some() => {
                Fault::NotPossible(format!("{} does not let us write", self.target))
            }
            fault => fault,
        })
    }

    /// Asks until there is an answer. The crate logs every failure as an error; here each has an owner who says it.
    async fn repeat<T, F>(&self, tries: usize, ask: impl Fn() -> F) -> Result<T, Box<Error>>
    where
        F: Future<Output = Result<T, Box<Error>>>,
    {
        let mut tried = 1;
        loop {
            let answer = Box::pin(ask().with_subscriber(NoSubscriber::new())).await;
            match answer {
                Err(error) if tried < tries && is_silence(&error) => tried += 1,
                answer => return answer,
            }
        }
    }

    fn odd(&self, what: &str) -> Fault {
        Fault::Odd(format!("{}: {what}", self.target))
    }

    /// In the owner's words.
    fn fault(&self, error: &Error) -> Fault {
        let target = &self.target;
        match error.exchange_source() {
            Error::Timeout { .. } | Error::Closed { .. } => {
                let hint = match self.reader.version() {
                    async_snmp::Version::V3 => "",
                    _ => ", and a wrong community gets none either",
                };
                Fault::Silent(format!("{target}: no answer{hint}"))
            }
            Error::Network { source, .. } if source.kind() == ErrorKind::AddrNotAvailable => {
                Fault::Offline(source.to_string())
            }
            Error::Network { source, .. } => Fault::Silent(format!("{target}: {}", source.kind())),
            Error::Auth { .. } => Fault::Refused(format!("{target} does not take the keys")),
            Error::Report { status, .. } => match **status {
                ReportStatus::UnknownUserName { .. } => {
                    Fault::Refused(format!("{target} does not know the user"))
                }
                ReportStatus::UnsupportedSecurityLevel { .. } => Fault::Refused(format!(
                    "{target} wants another sort of authentication or privacy for this user"
                )),
                ReportStatus::WrongDigest { .. } | ReportStatus::DecryptionError { .. } => {
                    Fault::Refused(format!("{target} does not take the keys"))
                }
                _ => self.odd(&format!("{status}")),
            },
            Error::Snmp { status, .. } => match status {
                ErrorStatus::NoAccess | ErrorStatus::AuthorizationError | ErrorStatus::ReadOnly => {
                    Fault::Refused(format!("{target} does not let us ask for this"))
                }
                ErrorStatus::NoSuchName
                | ErrorStatus::NotWritable
                | ErrorStatus::NoCreation
                | ErrorStatus::WrongType
                | ErrorStatus::WrongValue
                | ErrorStatus::BadValue
                | ErrorStatus::InconsistentName
                | ErrorStatus::InconsistentValue => {
                    Fault::NotPossible(format!("{target} cannot do this: {status}"))
                }
                _ => self.odd(&format!("{status}")),
            },
            other => self.odd(&printable(&other.to_string())),
        }
    }
}

fn status(error: &Error) -> Option<ErrorStatus> {
    match error.exchange_source() {
        Error::Snmp { status, .. } => Some(*status),
        _ => None,
    }
}

fn is_silence(error: &Error) -> bool {
    matches!(error.exchange_source(), Error::Timeout { .. })
}

fn oid(id: &ObjectId) -> Oid {
    Oid::from_slice(&id.0)
}

/// The answer in the order of the question: some devices sort it, and leave things out.
fn arrange(ids: &[ObjectId], answer: &[VarBind]) -> Vec<Found> {
    let of = |id: &ObjectId| {
        let bound = answer.iter().find(|bound| bound.oid.arcs() == id.0);
        bound.map_or(Found::Nothing, |bound| found(&bound.value))
    };
    ids.iter().map(of).collect()
}

fn found(value: &Value) -> Found {
    if let Some(number) = value.as_i32() {
        return Found::Number(number.into());
    }
    if let Some(number) = value.as_u64().and_then(|number| i64::try_from(number).ok()) {
        return Found::Number(number);
    }
    if let Some(id) = value.as_oid() {
        return Found::Id(id.arcs().to_vec());
    }
    value.as_bytes().map_or(Found::Nothing, |bytes| {
        Found::Text(printable(&String::from_utf8_lossy(bytes)))
    })
}

/// What a device said, fit for a line of a table.
fn printable(text: &str) -> String {
    let kept = text.chars().filter(|letter| !letter.is_control()).take(64);
    kept.collect::<String>().trim().to_owned()
}

/// Who reads and who writes.
fn logins(access: &SnmpAccess) -> Result<(Auth, Auth), String> {
    match access {
        SnmpAccess::V1 { community, write } => {
            let write = write.as_ref().unwrap_or(community);
            Ok((Auth::v1(community.expose()), Auth::v1(write.expose())))
        }
        SnmpAccess::V2c { community, write } => {
            let write = write.as_ref().unwrap_or(community);
            Ok((Auth::v2c(community.expose()), Auth::v2c(write.expose())))
        }
        SnmpAccess::V3 {
            user,
            auth,
            privacy,
        } => {
            let mut login = UsmConfig::new(user.clone());
            if let Some((kind, secret)) = auth {
                let keys = MasterKeys::new(auth_protocol(*kind), secret.expose().as_bytes());
                let mut keys = keys.map_err(|error| error.to_string())?;
                if let Some((kind, secret)) = privacy {
                    let both =
                        keys.with_privacy(privacy_protocol(*kind), secret.expose().as_bytes());
                    keys = both.map_err(|error| error.to_string())?;
                }
                let signed = login.with_master_keys(keys);
                login = signed.map_err(|error| error.to_string())?;
            }
            let auth = Auth::from(login);
            Ok((auth.clone(), auth))
        }
    }
}

fn auth_protocol(kind: SnmpAuth) -> AuthProtocol {
    match kind {
        SnmpAuth::Md5 => AuthProtocol::Md5,
        SnmpAuth::Sha1 => AuthProtocol::Sha1,
        SnmpAuth::Sha224 => AuthProtocol::Sha224,
        SnmpAuth::Sha256 => AuthProtocol::Sha256,
        SnmpAuth::Sha384 => AuthProtocol::Sha384,
        SnmpAuth::Sha512 => AuthProtocol::Sha512,
    }
}

fn privacy_protocol(kind: SnmpPrivacy) -> PrivProtocol {
    match kind {
        SnmpPrivacy::Des => PrivProtocol::Des,
        SnmpPrivacy::Aes128 => PrivProtocol::Aes128,
        SnmpPrivacy::Aes192 => PrivProtocol::Aes192Blumenthal,
        SnmpPrivacy::Aes256 => PrivProtocol::Aes256Blumenthal,
        SnmpPrivacy::Aes256C => PrivProtocol::Aes256Reeder,
    }
}
