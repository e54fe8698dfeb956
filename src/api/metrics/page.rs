//! The text format of Prometheus (0.0.4): families with their help, samples with their labels. Knows no value itself.
//!
//! By hand: all there is to it is escaping and one head per family, and values come from the state, which no registry of
//! counters would have.

use std::fmt::Write as _;

/// What a family counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    Counter,
}

/// A page that is being written.
#[derive(Debug, Default)]
pub(super) struct Page(String);

/// Labels of one sample.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

impl Page {
    /// Writes a family's samples; a family without any is left out.
    pub(super) fn family<'a>(&'a mut self, kind: Kind, name: &'a str, help: &'a str) -> Family<'a> {
        Family {
            text: &mut self.0,
            kind,
            name,
            help,
            begun: false,
        }
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// One family that is being written.
#[derive(Debug)]
pub(super) struct Family<'a> {
    text: &'a mut String,
    kind: Kind,
    name: &'a str,
    help: &'a str,
    begun: bool,
}

impl Family<'_> {
    /// One sample; what is not known has none.
    pub(super) fn sample(&mut self, labels: Labels<'_>, value: impl Into<Option<f64>>) {
        let Some(value) = value.into() else {
            return;
        };
        let (text, name) = (&mut *self.text, self.name);
        if !self.begun {
            self.begun = true;
            let kind = match self.kind {
                Kind::Gauge => "gauge",
                Kind::Counter => "counter",
            };
            // Writing to a string does not fail.
            let _ = write!(text, "# HELP {name} {}\n# TYPE {name} {kind}\n", self.help);
        }
        text.push_str(name);
        for (at, (label, value)) in labels.iter().enumerate() {
            text.push(if at == 0 { '{' } else { ',' });
            let _ = write!(text, "{label}=\"");
            escape(text, value);
            text.push('"');
        }
        if !labels.is_empty() {
            text.push('}');
        }
        let _ = match value {
            value if value.is_nan() => text.write_str(" NaN\n"),
            value if value.is_infinite() => {
                let sign = if value > 0.0 { '+' } else { '-' };
                writeln!(text, " {sign}Inf")
            }
            value => writeln!(text, " {value}"),
        };
    }
}

/// A label's value: devices and people wrote some of them.
fn escape(text: &mut String, value: &str) {
    for letter in value.chars() {
        match letter {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

/// Counters of ours fit: past 2⁵³ a scrape is off by one.
#[expect(
    clippy::cast_precision_loss,
    reason = "the format has floating point numbers only"
)]
pub(super) fn number(count: u64) -> f64 {
    count as f64
}

/// Yes or no.
pub(super) fn flag(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_there_and_labels_are_escaped() {
        let mut page = Page::default();
        let mut family = page.family(Kind::Gauge, "a", "What it is.");
        family.sample(&[], None::<f64>);
        let mut family = page.family(Kind::Counter, "b_total", "What it counts.");
        family.sample(&[("x", "say \"hi\"\\\n"), ("y", "ü")], number(3));
        family.sample(&[], f64::INFINITY);
        family.sample(&[], None::<f64>);
        family.sample(&[], 0.5);
        let text = "# HELP b_total What it counts.\n# TYPE b_total counter\n\
            b_total{x=\"say \\\"hi\\\"\\\\\\n\",y=\"ü\"} 3\nb_total +Inf\nb_total 0.5\n";
        assert_eq!(page.finish(), text);
    }
}
