//! The query parameters of DSP0266 §7.3: `$expand`, `$select`, `$top`, `$skip`, `only`. What begins with `$` and is not known is
//! refused, anything else is ignored, as the specification says.

use axum::http::StatusCode;
use serde_json::{Map, Value};

use super::uri;
use super::wrong::Wrong;

/// How deep `$expand` goes.
pub(super) const MOST_LEVELS: u32 = 1;

/// Which references `$expand` follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expand {
    /// Those outside `Links`.
    pub(super) subordinate: bool,
    /// Those inside.
    pub(super) linked: bool,
}

/// What a GET asks for besides the resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) expand: Option<Expand>,
    select: Vec<Vec<String>>,
    pub(super) top: Option<usize>,
    pub(super) skip: usize,
    pub(super) only: bool,
}

impl Query {
    /// # Errors
    /// An unknown `$…` is 501, a wrong value 400.
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        let mut query = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decode = |text: &str| uri::unescape(&text.replace('+', " "));
            let (Some(name), Some(value)) = (decode(name), decode(value)) else {
                return Err(Wrong::bad(
                    "QueryParameterValueFormatError",
                    &[pair, "(name or value)"],
                ));
            };
            let format = || Wrong::bad("QueryParameterValueFormatError", &[&value, &name]);
            let number = || value.parse::<usize>().map_err(|_| format());
            match name.as_str() {
                "$expand" => query.expand = Some(expand(&value, format)?),
                "$select" => {
                    let paths = value.split(',').map(|path| {
                        let path = path.trim().split('/');
                        path.map(str::to_owned).collect::<Vec<_>>()
                    });
                    query.select = paths.collect();
                    if query.select.iter().flatten().any(String::is_empty) {
                        return Err(format());
                    }
                }
                "$top" => query.top = Some(number()?),
                "$skip" => query.skip = number()?,
                "only" if value.is_empty() => query.only = true,
                "only" => return Err(format()),
                other if other.starts_with('$') => {
                    return Err(Wrong::new(
                        StatusCode::NOT_IMPLEMENTED,
                        "QueryNotSupported",
                        &[],
                    ));
                }
                _ => {}
            }
        }
        Ok(query)
    }

    /// Does it ask for anything?
    pub(super) fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Leaves what `$top` and `$skip` want of a collection; its count stays that of all.
    pub(super) fn page(&self, value: &mut Value) {
        if let Some(Value::Array(members)) = value.get_mut("Members") {
            let members = std::mem::take(members);
            let some: Vec<Value> = members
                .into_iter()
                .skip(self.skip)
                .take(self.top.unwrap_or(usize::MAX))
                .collect();
            value["Members"] = some.into();
        }
    }

    /// Leaves what `$select` wants.
    pub(super) fn select(&self, value: Value) -> Value {
        match value {
            Value::Object(fields) if !self.select.is_empty() => {
                let wanted: Vec<&[String]> = self.select.iter().map(Vec::as_slice).collect();
                Value::Object(chosen(fields, &wanted, true))
            }
            whole => whole,
        }
    }
}

fn expand(value: &str, format: impl Fn() -> Wrong) -> Result<Expand, Wrong> {
    let (which, levels) = match value.split_once('(') {
        Some((which, rest)) => (which, Some(rest.strip_suffix(')').ok_or_else(&format)?)),
        None => (value, None),
    };
    if let Some(levels) = levels {
        let count = levels.strip_prefix("$levels=").ok_or_else(&format)?;
        let count: u32 = count.parse().map_err(|_| format())?;
        if !(1..=MOST_LEVELS).contains(&count) {
            return Err(Wrong::bad(
                "QueryParameterOutOfRange",
                &[
                    &count.to_string(),
                    "$expand",
                    &format!("1 to {MOST_LEVELS}"),
                ],
            ));
        }
    }
    let (subordinate, linked) = match which {
        "." => (true, false),
        "~" => (false, true),
        "*" => (true, true),
        _ => return Err(format()),
    };
    Ok(Expand {
        subordinate,
        linked,
    })
}

fn chosen(fields: Map<String, Value>, wanted: &[&[String]], top: bool) -> Map<String, Value> {
    let mut kept = Map::new();
    for (name, value) in fields {
        // What identifies a resource is always there.
        if top && name.starts_with("@odata.") {
            kept.insert(name, value);
            continue;
        }
        let base = name.split('@').next().unwrap_or_default();
        let fits = |path: &&&[String]| {
            path.first()
                .is_some_and(|first| *first == name || *first == base)
        };
        let under: Vec<&[String]> = wanted.iter().filter(fits).map(|path| &path[1..]).collect();
        if under.is_empty() {
            continue;
        }
        match value {
            Value::Object(inner) if under.iter().all(|path| !path.is_empty()) => {
                kept.insert(name, Value::Object(chosen(inner, &under, false)));
            }
            whole => {
                kept.insert(name, whole);
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parameters_are_taken_ignored_or_refused() {
        let query =
            Query::parse("$expand=.($levels=1)&$select=Id,Links/Chassis&$top=3&x=y").unwrap();
        assert!(query.expand.unwrap().subordinate && !query.expand.unwrap().linked);
        assert_eq!((query.top, query.skip), (Some(3), 0));
        assert!(Query::parse("%24expand=*").unwrap().expand.unwrap().linked);
        for (text, status) in [
            ("$filter=x", 501),
            ("$expand=x", 400),
            ("$expand=.($levels=9)", 400),
            ("$top=-1", 400),
            ("$select=", 400),
            ("only=1", 400),
            ("$skip=%zz", 400),
        ] {
            assert_eq!(Query::parse(text).unwrap_err().status, status, "{text}");
        }
        assert!(Query::parse("session=3").unwrap().is_plain());
    }

    #[test]
    fn select_keeps_what_is_wanted_and_what_identifies() {
        let whole = json!({
            "@odata.id": "/x", "Id": "x", "Name": "X", "Boot": { "A": 1, "B": 2 }, "Members": [1, 2, 3], "Members@odata.count": 3,
        });
        let query = Query::parse("$select=Id,Boot/A").unwrap();
        let got = query.select(whole.clone());
        assert_eq!(
            got,
            json!({ "@odata.id": "/x", "Id": "x", "Boot": { "A": 1 } })
        );
        let mut page = whole;
        Query::parse("$top=1&$skip=1").unwrap().page(&mut page);
        assert_eq!(page["Members"], json!([2]));
        assert_eq!(page["Members@odata.count"], 3);
    }
}
