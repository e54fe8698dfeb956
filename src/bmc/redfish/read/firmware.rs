//! Settings of the firmware: attributes, what is staged, and what the registry says of them. Pure.

use std::collections::HashMap;

use serde_json::Value;

use super::{array, text};
use crate::bmc::redfish::types::{BiosAttribute, Scalar};

/// Attributes of one machine; big ones have about 1500.
const ATTRIBUTES: usize = 8192;

fn scalar(value: &Value) -> Scalar {
    match value {
        Value::String(text) => Scalar::Text(text.clone()),
        Value::Bool(flag) => Scalar::Flag(*flag),
        Value::Number(number) => number.as_f64().map_or(Scalar::Null, Scalar::Number),
        _ => Scalar::Null,
    }
}

impl Scalar {
    /// As it is written to a controller. A whole number is written without a fraction.
    #[must_use]
    pub fn json(&self) -> Value {
        match self {
            Self::Text(text) => Value::from(text.as_str()),
            Self::Flag(flag) => Value::from(*flag),
            Self::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
                serde_json::from_str(&format!("{number:.0}")).unwrap_or(Value::Null)
            }
            Self::Number(number) => Value::from(*number),
            Self::Null => Value::Null,
        }
    }
}

/// The attributes of `Bios`, with what `Settings` holds for the next reset and what the registry says. By name.
#[must_use]
pub fn attributes(
    bios: &Value,
    staged: Option<&Value>,
    registry: Option<&Value>,
) -> Vec<BiosAttribute> {
    let staged = staged.and_then(|staged| staged.get("Attributes"));
    let known: HashMap<&str, &Value> = registry
        .and_then(|registry| registry.get("RegistryEntries"))
        .map(|entries| array(entries, "Attributes"))
        .unwrap_or_default()
        .iter()
        .take(ATTRIBUTES)
        .filter_map(|entry| Some((entry.get("AttributeName")?.as_str()?, entry)))
        .collect();
    let fields = bios.get("Attributes").and_then(Value::as_object);
    let mut found: Vec<BiosAttribute> = fields
        .into_iter()
        .flatten()
        .take(ATTRIBUTES)
        .map(|(name, value)| {
            let entry = known.get(name.as_str()).copied().unwrap_or(&Value::Null);
            let value = scalar(value);
            let pending = staged.and_then(|staged| staged.get(name)).map(scalar);
            BiosAttribute {
                name: name.clone(),
                pending: pending.filter(|pending| *pending != value),
                value,
                label: text(entry, "DisplayName"),
                kind: text(entry, "Type"),
                read_only: entry.get("ReadOnly") == Some(&Value::Bool(true)),
                choices: array(entry, "Value")
                    .iter()
                    .take(256)
                    .filter_map(|choice| text(choice, "ValueName"))
                    .collect(),
            }
        })
        .collect();
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}
