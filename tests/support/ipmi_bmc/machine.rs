//! The machine behind the BMC of `ipmi_bmc`: power, boot options, sensor records, event log.

use oobd::ipmi::message::{Request, code, netfn};
use serde_json::{Value, json};

use super::tell;

type Answer = (u8, Vec<u8>);

pub(crate) struct Machine {
    on: bool,
    identify: u8,
    boot: [u8; 5],
    in_progress: u8,
    /// So many questions more are answered with `busy`.
    busy: u64,
    records: Vec<Vec<u8>>,
    /// Most bytes of a record at once.
    most: u8,
    reservation: u16,
    log: Vec<[u8; 16]>,
    erased: u32,
    /// How often the log says yet that clearing goes on.
    clearing: u8,
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<char> = hex.chars().filter(char::is_ascii_hexdigit).collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn list(value: &Value) -> Vec<Vec<u8>> {
    let all = value.as_array().into_iter().flatten();
    all.map(|hex| bytes(hex.as_str().unwrap())).collect()
}

impl Machine {
    pub(crate) fn new(given: &Value) -> Self {
        let log = list(&given["sel"]);
        Self {
            on: true,
            identify: 0,
            boot: [0; 5],
            in_progress: 0,
            busy: given["busy"].as_u64().unwrap_or(0),
            records: list(&given["sdr"]),
            most: u8::try_from(given["sdr_most"].as_u64().unwrap_or(255)).unwrap(),
            reservation: 1,
            log: log.into_iter().map(|raw| raw.try_into().unwrap()).collect(),
            erased: 0,
            clearing: 0,
        }
    }

    pub(crate) fn told(&mut self, line: &str) {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("busy", count) => self.busy = count.parse().unwrap(),
            ("lose", _) => self.reservation += 1,
            ("event", hex) => self.log.push(bytes(hex).try_into().unwrap()),
            other => panic!("no order {other:?}"),
        }
    }

    pub(crate) fn answer(&mut self, request: &Request<'_>) -> Answer {
        if self.busy > 0 {
            self.busy -= 1;
            return (code::NODE_BUSY, vec![]);
        }
        match (request.netfn, request.command, request.data) {
            // Version 1.2 of IPMI 2.0, with repository and log.
            (netfn::APP, 0x01, _) => (
                code::OK,
                vec![
                    0x20, 1, 1, 0x02, 0x02, 0x8f, 0x57, 1, 0, 0x34, 0x12, 0, 0, 0, 0,
                ],
            ),
            (netfn::APP, 0x37, _) => (code::OK, super::GUID.to_vec()),
            (netfn::CHASSIS, 0x01, _) => {
                let status = [u8::from(self.on) | 0x20, 0x10, 0x40 | self.identify << 4];
                (code::OK, status.to_vec())
            }
            (netfn::CHASSIS, 0x02, &[verb]) => {
                tell(&json!({"power": verb}));
                self.on = match verb & 0x0f {
                    0 | 5 => false,
                    1..=3 => true,
                    _ => self.on,
                };
                (code::OK, vec![])
            }
            (netfn::CHASSIS, 0x04, data) => {
                self.identify = match data {
                    [_, 1] => 2,
                    [0, ..] => 0,
                    _ => 1,
                };
                (code::OK, vec![])
            }
            (netfn::CHASSIS, 0x08, data) => self.set_boot(data),
            (netfn::CHASSIS, 0x09, &[parameter, ..]) => match parameter & 0x7f {
                0 => (code::OK, vec![1, 0, self.in_progress]),
                5 => (code::OK, [&[1, 5], &self.boot[..]].concat()),
                _ => (0x80, vec![]),
            },
            (netfn::STORAGE, 0x20, _) => {
                let count = u8::try_from(self.records.len()).unwrap();
                (
                    code::OK,
                    [&[0x51, count, 0, 0, 0][..], &[1; 8], &[2]].concat(),
                )
            }
            (netfn::STORAGE, 0x22 | 0x42, _) => (code::OK, self.reservation.to_le_bytes().to_vec()),
            (netfn::STORAGE, 0x23, &[r0, r1, i0, i1, offset, count]) => {
                let reservation = u16::from_le_bytes([r0, r1]);
                self.record(reservation, u16::from_le_bytes([i0, i1]), offset, count)
            }
            (netfn::STORAGE, 0x40, _) => self.log_info(),
            (netfn::STORAGE, 0x43, &[_, _, i0, i1, ..]) => self.entry(u16::from_le_bytes([i0, i1])),
            (netfn::STORAGE, 0x47, &[r0, r1, b'C', b'L', b'R', action]) => {
                if u16::from_le_bytes([r0, r1]) != self.reservation {
                    return (code::RESERVATION_LOST, vec![]);
                }
                if action == 0xaa {
                    self.log.clear();
                    self.erased += 1;
                    self.clearing = 2;
                }
                self.clearing = self.clearing.saturating_sub(1);
                (code::OK, vec![u8::from(self.clearing == 0)])
            }
            // Every sensor reads 80h and is well.
            (netfn::SENSOR, 0x2d, _) => (code::OK, vec![0x80, 0xc0, 0xc0, 0]),
            (netfn::SENSOR, 0x27, _) => (code::OK, vec![0x3f, 1, 2, 3, 200, 201, 202]),
            // M 2 for every reading.
            (netfn::SENSOR, 0x23, &[_, raw]) => (code::OK, vec![raw, 2, 0, 0, 0, 0, 0]),
            _ => (code::INVALID_COMMAND, vec![]),
        }
    }

    fn set_boot(&mut self, data: &[u8]) -> Answer {
        match data {
            &[0, value] => {
                if value == 1 && self.in_progress == 1 {
                    return (0x81, vec![]);
                }
                self.in_progress = value;
                (code::OK, vec![])
            }
            [5, flags @ ..] => {
                self.boot = flags.try_into().unwrap();
                tell(&json!({"boot": self.boot, "in_progress": self.in_progress}));
                (code::OK, vec![])
            }
            [4, ..] => (code::OK, vec![]),
            _ => (0x80, vec![]),
        }
    }

    fn record(&mut self, reservation: u16, id: u16, offset: u8, count: u8) -> Answer {
        if reservation != self.reservation {
            return (code::RESERVATION_LOST, vec![]);
        }
        let Some(record) = self.records.get(usize::from(id)) else {
            return (code::NOT_PRESENT, vec![]);
        };
        if count > self.most {
            return (code::CANNOT_RETURN_SO_MANY, vec![]);
        }
        let last = usize::from(id) + 1 == self.records.len();
        let next = if last { 0xffff } else { id + 1 };
        let rest = record.get(usize::from(offset)..).unwrap_or_default();
        let piece = rest.iter().copied().take(usize::from(count));
        (
            code::OK,
            next.to_le_bytes().into_iter().chain(piece).collect(),
        )
    }

    fn log_info(&self) -> Answer {
        let count = u16::try_from(self.log.len()).unwrap();
        let mut out = vec![0x51];
        out.extend(count.to_le_bytes());
        out.extend(1000u16.to_le_bytes());
        out.extend(u32::from(count).to_le_bytes());
        out.extend(self.erased.to_le_bytes());
        out.push(2);
        (code::OK, out)
    }

    fn entry(&self, id: u16) -> Answer {
        let of = |entry: &[u8; 16]| u16::from_le_bytes([entry[0], entry[1]]);
        let place = match id {
            0 => Some(0).filter(|_| !self.log.is_empty()),
            0xffff => self.log.len().checked_sub(1),
            id => self.log.iter().position(|entry| of(entry) == id),
        };
        let Some(place) = place else {
            return (code::NOT_PRESENT, vec![]);
        };
        let next = self.log.get(place + 1).map_or(0xffff, of);
        (
            code::OK,
            [&next.to_le_bytes()[..], &self.log[place]].concat(),
        )
    }
}
