//! Questions of DNS-SD (RFC 6763) and what this board answers on one interface. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use simple_dns::rdata::{A, AAAA, PTR, RData, SRV, TXT};
use simple_dns::{
    CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, ResourceRecord, SimpleDnsError,
};

use super::claim::Contest;

/// How long others keep what names this host (RFC 6762 §10), and what names its services.
const HOST_TTL: u32 = 120;
const SERVICE_TTL: u32 = 4500;
/// To an ordinary resolver that asks from another port (RFC 6762 §6.7).
const LEGACY_TTL: u32 = 10;
/// What all types of services are asked by.
const TYPES: &str = "_services._dns-sd._udp.local";

/// What is told on one interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// The device's name: `rack7` is `rack7.local`.
    pub(super) device: String,
    /// `_ssh._tcp` and its port.
    pub(super) services: Vec<(&'static str, u16)>,
    /// `key=value` of each service.
    pub(super) text: Vec<String>,
    pub(super) addresses: Vec<IpAddr>,
}

/// An answer and where it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) bytes: Vec<u8>,
    /// To who asked alone, not to everybody.
    pub(super) alone: bool,
}

/// The answer to a packet, if it asks for anything of ours. `legacy`: from another port than 5353.
pub(super) fn answer(packet: &[u8], told: &Told, legacy: bool) -> Option<Answer> {
    let question = Packet::parse(packet).ok()?;
    if question.has_flags(PacketFlag::RESPONSE) || told.addresses.is_empty() {
        return None;
    }
    let records = records(told).ok()?;
    let mut chosen: Vec<ResourceRecord<'_>> = Vec::new();
    let (mut alone, mut asked) = (true, Vec::new());
    for one in &question.questions {
        let class = matches!(one.qclass, QCLASS::CLASS(CLASS::IN) | QCLASS::ANY);
        let fits = |record: &&ResourceRecord<'_>| {
            let kind =
                one.qtype == QTYPE::ANY || one.qtype == QTYPE::TYPE(record.rdata.type_code());
            class && kind && same(&record.name, &one.qname)
        };
        let known = |record: &&ResourceRecord<'_>| {
            // Who asks says what it has (RFC 6762 §7.1).
            !question.answers.iter().any(|had| {
                had.rdata == record.rdata
                    && same(&had.name, &record.name)
                    && had.ttl >= record.ttl / 2
            })
        };
        let mut found = records.iter().filter(fits).filter(known).peekable();
        if found.peek().is_some() {
            alone &= one.unicast_response;
            asked.push(one.clone());
        }
        for record in found {
            if !chosen.contains(record) {
                chosen.push(record.clone());
            }
        }
    }
    if chosen.is_empty() {
        return None;
    }
    let mut reply = Packet::new_reply(if legacy { question.id() } else { 0 });
    reply.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
    if legacy {
        reply.questions = asked;
    }
    // What follows from it comes along: a browser needs no second question.
    let more: Vec<_> = records
        .iter()
        .filter(|record| !chosen.contains(record) && record.name.to_string() != TYPES)
        .filter(|_| {
            chosen
                .iter()
                .any(|one| !matches!(one.rdata, RData::A(_) | RData::AAAA(_)))
        })
        .filter(|record| !matches!(record.rdata, RData::PTR(_)))
        .cloned()
        .collect();
    let shape = |mut record: ResourceRecord<'static>| {
        if legacy {
            record.ttl = record.ttl.min(LEGACY_TTL);
            record.cache_flush = false;
        }
        record
    };
    reply.answers = chosen
        .into_iter()
        .map(|one| shape(one.into_owned()))
        .collect();
    reply.additional_records = more
        .into_iter()
        .map(|one| shape(one.into_owned()))
        .collect();
    let bytes = reply.build_bytes_vec_compressed().ok()?;
    Some(Answer {
        bytes,
        alone: alone || legacy,
    })
}

/// The question whether anybody has these names, and what this board would say of them (RFC 6762 §8.1).
pub(super) fn probe(told: &Told) -> Option<Vec<u8>> {
    let mut packet = Packet::new_query(0);
    packet.name_servers = unique(told).ok()?;
    for record in &packet.name_servers {
        let asked = &mut packet.questions;
        if !asked.iter().any(|one| one.qname == record.name) {
            let class = QCLASS::CLASS(CLASS::IN);
            asked.push(Question::new(record.name.clone(), QTYPE::ANY, class, true));
        }
    }
    // Not to be thrown out of caches: it is no answer.
    for record in &mut packet.name_servers {
        record.cache_flush = false;
    }
    packet.build_bytes_vec_compressed().ok()
}

/// Everything, unasked. `gone`: that it is no longer so.
pub(super) fn announcement(told: &Told, gone: bool) -> Option<Vec<u8>> {
    let mut packet = Packet::new_reply(0);
    packet.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
    packet.answers = records(told).ok()?;
    packet.answers.retain(|one| one.name.to_string() != TYPES);
    if gone {
        for record in &mut packet.answers {
            record.ttl = 0;
        }
    }
    packet.build_bytes_vec_compressed().ok()
}

/// Whether a packet of somebody else lays claim to a name that is told here. `ours` are the addresses of the whole board, which
/// may stand on the link twice.
pub(super) fn contest(packet: &[u8], told: &Told, ours: &[IpAddr]) -> Option<Contest> {
    let packet = Packet::parse(packet).ok()?;
    let mine = unique(told).ok()?;
    let is_ours = |record: &ResourceRecord<'_>| match &record.rdata {
        RData::A(a) => ours.contains(&Ipv4Addr::from(a.address).into()),
        RData::AAAA(a) => ours.contains(&Ipv6Addr::from(a.address).into()),
        _ => false,
    };
    let names = |record: &&ResourceRecord<'_>| mine.iter().any(|one| same(&one.name, &record.name));
    let told_so = |record: &&ResourceRecord<'_>| {
        mine.iter()
            .any(|one| same(&one.name, &record.name) && one.rdata == record.rdata)
    };
    if packet.has_flags(PacketFlag::RESPONSE) {
        let said = packet.answers.iter().chain(&packet.additional_records);
        let mut foreign = said.filter(|record| {
            let host = matches!(
                record.rdata,
                RData::A(_) | RData::AAAA(_) | RData::SRV(_) | RData::TXT(_)
            );
            host && record.ttl > 0 && names(record) && !told_so(record) && !is_ours(record)
        });
        return foreign.next().map(|_| Contest::Taken);
    }
    let rival: Vec<_> = packet.name_servers.iter().filter(names).collect();
    if rival.iter().any(|record| is_ours(record)) {
        return None;
    }
    // The first name of both that stands for something else decides, on both sides the same way.
    let mut names: Vec<String> = rival.iter().map(|one| one.name.to_string()).collect();
    names
        .iter_mut()
        .for_each(|name| name.make_ascii_lowercase());
    names.sort();
    let of = |name: &str, one: &ResourceRecord<'_>| one.name.to_string().eq_ignore_ascii_case(name);
    let orders = names.iter().map(|name| {
        let theirs = rival.iter().copied().filter(|one| of(name, one));
        let here = mine.iter().filter(|one| of(name, one));
        order(theirs).cmp(&order(here))
    });
    let first = orders.into_iter().find(|order| order.is_ne())?;
    first.is_gt().then_some(Contest::Behind)
}

/// What two hosts compare that probe for one name at the same time (RFC 6762 §8.2): class, type and bytes of each record.
fn order<'a>(records: impl Iterator<Item = &'a ResourceRecord<'a>>) -> Vec<(u16, Vec<u8>)> {
    let key = |record: &ResourceRecord<'a>| {
        let mut packet = Packet::new_query(0);
        let mut bare = record.clone();
        bare.name = Name::new("x").ok()?;
        packet.answers.push(bare);
        // Header, one label, type, class, TTL and length come before the bytes.
        let bytes = packet.build_bytes_vec().ok()?.split_off(12 + 3 + 10);
        Some((u16::from(record.rdata.type_code()), bytes))
    };
    let mut keys: Vec<_> = records.filter_map(key).collect();
    keys.sort();
    keys
}

/// What only this board may say: all but the pointers, which many share.
fn unique(told: &Told) -> Result<Vec<ResourceRecord<'static>>, SimpleDnsError> {
    let mut all = records(told)?;
    all.retain(|record| !matches!(record.rdata, RData::PTR(_)));
    Ok(all)
}

fn same(one: &Name<'_>, other: &Name<'_>) -> bool {
    one.to_string().eq_ignore_ascii_case(&other.to_string())
}

/// All that this board says of itself.
fn records(told: &Told) -> Result<Vec<ResourceRecord<'static>>, SimpleDnsError> {
    let name = |text: String| Name::new(&text).map(Name::into_owned);
    let host = name(format!("{}.local", told.device))?;
    let own = |name: &Name<'static>, ttl, data| {
        ResourceRecord::new(name.clone(), CLASS::IN, ttl, data).with_cache_flush(true)
    };
    let shared = |name: Name<'static>, to: &Name<'static>| {
        ResourceRecord::new(name, CLASS::IN, SERVICE_TTL, RData::PTR(PTR(to.clone())))
    };
    let mut all = Vec::new();
    for (kind, port) in &told.services {
        let kind = name(format!("{kind}.local"))?;
        let instance = name(format!("{}.{kind}", told.device))?;
        all.push(shared(name(TYPES.to_owned())?, &kind));
        all.push(shared(kind, &instance));
        let target = SRV {
            priority: 0,
            weight: 0,
            port: *port,
            target: host.clone(),
        };
        all.push(own(&instance, HOST_TTL, RData::SRV(target)));
        let mut text = TXT::new();
        for line in &told.text {
            text.add_string(line)?;
        }
        all.push(own(&instance, SERVICE_TTL, RData::TXT(text.into_owned())));
    }
    for address in &told.addresses {
        let data = match *address {
            IpAddr::V4(address) => RData::A(A::from(address)),
            IpAddr::V6(address) => RData::AAAA(AAAA::from(address)),
        };
        all.push(own(&host, HOST_TTL, data));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use simple_dns::TYPE;

    fn told() -> Told {
        Told {
            device: "rack7".into(),
            services: vec![("_https._tcp", 443), ("_ssh._tcp", 22)],
            text: vec!["version=0.1.0".into()],
            addresses: vec!["10.0.0.5".parse().unwrap(), "fd00::5".parse().unwrap()],
        }
    }

    fn ask(name: &str, kind: TYPE, had: &[ResourceRecord<'static>]) -> Vec<u8> {
        let mut packet = Packet::new_query(7);
        let name = Name::new(name).unwrap().into_owned();
        let question = Question::new(name, QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), false);
        packet.questions.push(question);
        packet.answers = had.to_vec();
        packet.build_bytes_vec().unwrap()
    }

    #[test]
    fn services_are_found_with_all_that_belongs_to_them() {
        let found = answer(&ask("_https._tcp.local", TYPE::PTR, &[]), &told(), false).unwrap();
        assert!(!found.alone);
        let packet = Packet::parse(&found.bytes).unwrap();
        assert_eq!((packet.answers.len(), packet.id()), (1, 0));
        let RData::PTR(to) = &packet.answers[0].rdata else {
            panic!("{packet:?}")
        };
        assert_eq!(to.0.to_string(), "rack7._https._tcp.local");
        // SRV and TXT of both services, two addresses.
        assert_eq!(packet.additional_records.len(), 6);
        let had = vec![packet.answers[0].clone().into_owned()];
        let known = ask("_https._tcp.local", TYPE::PTR, &had);
        assert_eq!(answer(&known, &told(), false), None);
        let types = answer(&ask(TYPES, TYPE::PTR, &[]), &told(), false).unwrap();
        assert_eq!(Packet::parse(&types.bytes).unwrap().answers.len(), 2);
    }

    #[test]
    fn who_says_the_same_name_contests_it() {
        let other = Told {
            addresses: vec!["10.0.0.9".parse().unwrap()],
            ..told()
        };
        let here = told().addresses;
        let hears = |packet: &[u8], told: &Told| contest(packet, told, &here);
        let said = announcement(&other, false).unwrap();
        assert_eq!(hears(&said, &told()), Some(Contest::Taken));
        // The same from another interface of this board, our own words, a goodbye, another name.
        assert_eq!(contest(&said, &told(), &other.addresses), None);
        let own = announcement(&told(), false).unwrap();
        assert_eq!(hears(&own, &told()), None);
        assert_eq!(hears(&announcement(&other, true).unwrap(), &told()), None);
        let renamed = Told {
            device: "rack7-2".into(),
            ..other.clone()
        };
        let said = announcement(&renamed, false).unwrap();
        assert_eq!(hears(&said, &told()), None);
        // Two that probe at the same time: the later in order goes on, and it is the same on both sides.
        let theirs = probe(&other).unwrap();
        assert_eq!(hears(&theirs, &told()), Some(Contest::Behind));
        let ours = probe(&told()).unwrap();
        assert_eq!(contest(&ours, &other, &other.addresses), None);
        assert_eq!(hears(&ours, &told()), None);
        for garbage in [&b""[..], b"\0", &[0xff; 40], &[0xc0; 512]] {
            assert_eq!(hears(garbage, &told()), None);
        }
        // A probe is a question like any other: who has the name answers it, to who asks alone.
        let defence = answer(&theirs, &told(), false).unwrap();
        assert!(defence.alone);
        assert_eq!(
            contest(&defence.bytes, &other, &other.addresses),
            Some(Contest::Taken)
        );
    }

    #[test]
    fn an_ordinary_resolver_gets_its_question_back() {
        let found = answer(&ask("RACK7.local", TYPE::A, &[]), &told(), true).unwrap();
        assert!(found.alone);
        let packet = Packet::parse(&found.bytes).unwrap();
        assert_eq!((packet.id(), packet.questions.len()), (7, 1));
        assert_eq!(packet.answers.len(), 1);
        assert!(packet.answers[0].ttl <= LEGACY_TTL && !packet.answers[0].cache_flush);
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        for (name, kind) in [
            ("rack8.local", TYPE::A),
            ("rack7.local", TYPE::TXT),
            ("_printer._tcp.local", TYPE::PTR),
        ] {
            assert_eq!(
                answer(&ask(name, kind, &[]), &told(), false),
                None,
                "{name}"
            );
        }
        let reply = answer(&ask("rack7.local", TYPE::A, &[]), &told(), false).unwrap();
        assert_eq!(
            answer(&reply.bytes, &told(), false),
            None,
            "an answer is no question"
        );
        for garbage in [&b""[..], b"\0", &[0xff; 40], &[0xc0; 512]] {
            assert_eq!(answer(garbage, &told(), false), None);
        }
        let mute = Told {
            addresses: vec![],
            ..told()
        };
        assert_eq!(
            answer(&ask("rack7.local", TYPE::A, &[]), &mute, false),
            None
        );
    }
}
