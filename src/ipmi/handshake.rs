//! How a session is opened: capabilities, then Open Session and RAKP with suite 17, then 3, with the highest privilege that
//! the user has. §13.14 to §13.23. A wrong password ends it at the first proof: BMCs lock users out.

use super::crypto::{Suite, same};
use super::error::Error;
use super::link::Link;
use super::message::{self, code, netfn};
use super::packet::{self, payload};
use super::session::{Agreed, Login, Privilege};
use super::setup::{
    Exchange, NAME_ONLY, OpenRequest, OpenResponse, Rakp1, Rakp2, Rakp3, Rakp4, Refusal, status,
    status_text,
};
use super::wire::Wire;

/// How often an attempt is begun anew that broke off after the BMC had answered.
const ROUNDS: u32 = 3;
/// Get Channel Authentication Capabilities. §22.13.
const CAPABILITIES: u8 = 0x38;

/// Why one attempt came to nothing, and what to try next.
enum Setback {
    /// The next suite.
    Suite,
    /// The next lower privilege, this says why.
    Privilege(Error),
    /// The same once more.
    Again(Error),
    Fatal(Error),
}

impl From<Error> for Setback {
    fn from(error: Error) -> Self {
        Self::Fatal(error)
    }
}

/// Asks whether there is a BMC that speaks IPMI 2.0. The answer is authenticated by nothing.
async fn capabilities(wire: &mut Wire) -> Result<(), Error> {
    let bmc = wire.bmc;
    let what = "which authentication it has";
    // This channel, with the data of 2.0; for an administrator.
    let asked = message::request(0, netfn::APP, 0, CAPABILITIES, &[0x8e, 4]);
    let asked = packet::sessionless(&asked).ok_or(Error::Nonsense { bmc, what })?;
    let answer = wire.ask(what, &asked, |datagram| {
        let answer = message::parse_response(packet::parse_sessionless(datagram)?)?;
        let ours = answer.netfn == netfn::APP && answer.command == CAPABILITIES;
        ours.then(|| (answer.code, answer.data.to_vec()))
    });
    let (completion, data) = answer.await?;
    match (completion, &data[..]) {
        (code::OK, [_channel, types, _status, extended, ..])
            if types & 0x80 != 0 && extended & 2 != 0 =>
        {
            Ok(())
        }
        // 1.5 takes the bit that asks for 2.0 for bad data.
        (code::OK | code::INVALID_DATA, _) => Err(Error::TooOld { bmc }),
        (code, _) => Err(Error::Refused { bmc, what, code }),
    }
}

/// Opens a session. `known` is what worked the last time.
///
/// # Errors
/// All that [`super::Session::connect`] names.
pub(super) async fn open(
    wire: &mut Wire,
    login: &Login,
    known: Option<Agreed>,
) -> Result<(Link, Agreed), Error> {
    let bmc = wire.bmc;
    capabilities(wire).await?;
    let mut suites = Suite::ALL.to_vec();
    // What worked before comes first.
    suites.sort_by_key(|&suite| known.is_none_or(|known| known.suite != suite));
    let highest = known.map_or(Privilege::Administrator, |known| known.privilege);
    let mut error = Error::NoSuite { bmc };
    for suite in suites {
        let mut privilege = Some(highest);
        let mut round = 1;
        while let Some(wanted) = privilege {
            let agreed = Agreed {
                suite,
                privilege: wanted,
            };
            match attempt(wire, login, agreed, known.is_some()).await {
                Ok(link) => return Ok((link, agreed)),
                Err(Setback::Fatal(fatal)) => return Err(fatal),
                Err(Setback::Suite) => break,
                Err(Setback::Privilege(why)) => {
                    error = why;
                    privilege = wanted.lower();
                }
                Err(Setback::Again(why)) if round == ROUNDS => return Err(why),
                Err(Setback::Again(_)) => round += 1,
            }
        }
        if privilege.is_none() {
            break;
        }
    }
    Err(error)
}

fn refused(wire: &Wire, refusal: Refusal) -> Setback {
    let bmc = wire.bmc;
    let what = "a session";
    let why = status_text(refusal.status);
    match refusal.status {
        status::INVALID_AUTHENTICATION
        | status::INVALID_INTEGRITY
        | status::INVALID_CONFIDENTIALITY
        | status::NO_SUITE
        | status::ILLEGAL_PARAMETER => Setback::Suite,
        status::INVALID_ROLE | status::UNAUTHORIZED_ROLE => {
            Setback::Privilege(Error::NotPermitted { bmc, what, why })
        }
        status::UNAUTHORIZED_NAME | status::INVALID_NAME_LENGTH => {
            Setback::Fatal(Error::NotPermitted { bmc, what, why })
        }
        status::NO_RESOURCES | status::NO_RESOURCES_FOR_ROLE => Setback::Fatal(Error::Busy {
            bmc,
            what: "no session is free",
        }),
        _ => Setback::Again(Error::NotPermitted { bmc, what, why }),
    }
}

/// What came back: an answer to this message, or a refusal.
async fn say<T>(
    wire: &mut Wire,
    (what, kind, answer): (&'static str, u8, u8),
    message: &[u8],
    parse: impl Fn(&[u8]) -> Option<Result<T, Refusal>>,
    is_ours: impl Fn(&T) -> bool,
    tag: u8,
) -> Result<T, Setback> {
    let datagram = packet::setup(kind, message);
    let found = wire.ask(what, &datagram, |datagram| {
        let (kind, payload) = packet::parse_setup(datagram)?;
        let parsed = (kind == answer).then(|| parse(payload))??;
        let ours = match &parsed {
            Ok(message) => is_ours(message),
            Err(refusal) => refusal.tag == tag,
        };
        ours.then_some(parsed)
    });
    let found = found.await.map_err(|error| match error {
        Error::NoAnswer { .. } => Setback::Again(error),
        error => Setback::Fatal(error),
    })?;
    found.map_err(|refusal| refused(wire, refusal))
}

async fn attempt(
    wire: &mut Wire,
    login: &Login,
    agreed: Agreed,
    is_known: bool,
) -> Result<Link, Setback> {
    let bmc = wire.bmc;
    let Agreed { suite, privilege } = agreed;
    // Late answers to an attempt before this one have another tag and another name of the session.
    let [tag, more @ ..] = rand::random::<[u8; 5]>();
    let console = u32::from_le_bytes(more) | 1;

    let request = OpenRequest {
        tag,
        privilege: privilege.number(),
        console,
        algorithms: suite.algorithms(),
    };
    let stage = ("a session", payload::OPEN_REQUEST, payload::OPEN_RESPONSE);
    let ours = |answer: &OpenResponse| answer.tag == tag && answer.console == console;
    let request = request.encode();
    let opened = say(wire, stage, &request, OpenResponse::parse, ours, tag);
    let opened = match opened.await {
        // It speaks, but not of this suite: some BMCs say nothing then. Never so where it once had the suite.
        Err(Setback::Again(_)) if suite != Suite::Sha1 && !is_known => {
            return Err(Setback::Suite);
        }
        opened => opened?,
    };
    if opened.algorithms != suite.algorithms() {
        return Err(Setback::Suite);
    }

    let mut exchange = Exchange {
        suite,
        console,
        bmc: opened.bmc,
        ours: rand::random(),
        theirs: [0; 16],
        guid: [0; 16],
        role: privilege.number() | NAME_ONLY,
        user: login.user().as_bytes().to_vec(),
    };
    let tag = tag.wrapping_add(1);
    let rakp1 = Rakp1 {
        tag,
        bmc: exchange.bmc,
        random: exchange.ours,
        role: exchange.role,
        user: exchange.user.clone(),
    };
    let stage = ("who signs in", payload::RAKP_1, payload::RAKP_2);
    let ours = |answer: &Rakp2| answer.tag == tag && answer.console == console;
    let rakp2 = say(wire, stage, &rakp1.encode(), Rakp2::parse, ours, tag).await?;
    exchange.theirs = rakp2.random;
    exchange.guid = rakp2.guid;
    let tag = tag.wrapping_add(1);
    let mut rakp3 = Rakp3 {
        tag,
        status: status::OK,
        bmc: exchange.bmc,
        code: exchange.rakp3_code(login.password()),
    };
    if !same(&exchange.rakp2_code(login.password()), &rakp2.code) {
        // Takes the attempt back, so that the BMC's place for it is free at once.
        rakp3.status = status::INVALID_CHECK_VALUE;
        rakp3.code.clear();
        wire.send(&packet::setup(payload::RAKP_3, &rakp3.encode()))?;
        let user = login.user().to_owned();
        return Err(Setback::Fatal(Error::WrongPassword { bmc, user }));
    }
    let stage = ("the sign-in", payload::RAKP_3, payload::RAKP_4);
    let ours = |answer: &Rakp4| answer.tag == tag && answer.console == console;
    let rakp4 = say(wire, stage, &rakp3.encode(), Rakp4::parse, ours, tag).await?;
    let sik = exchange.sik(login.bmc_key().unwrap_or(login.password()));
    if !same(&exchange.rakp4_check(&sik), &rakp4.check) {
        return Err(Setback::Fatal(Error::NotPermitted {
            bmc,
            what: "a session",
            why: "it has another BMC key (K_G) than ours".into(),
        }));
    }
    Ok(Link::new(exchange.keys(&sik), console, exchange.bmc))
}
